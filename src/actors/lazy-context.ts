// The context of an answer, made when somebody looks at it: most readers never write back, and making it costs as much as the read.
//
// It is a property of a plain object, as users pass such answers on, compare and print them. A getter written in an object literal would do,
// at a price: each object gets a hidden class of its own then (600 ns more a read, and work for the old generation's collector). So
// all share one getter, and what each needs is kept in a private field, which a class may put on an object that it did not make.

/** A constructor may hand back what it was given. */
function given(answer: object): object {
  return answer;
}

const Given = given as unknown as new (answer: object) => object;

class Maker extends Given {
  #make: (() => string) | undefined;
  #made = '';

  constructor(answer: object, make: () => string) {
    super(answer);
    this.#make = make;
  }

  static contextOf(answer: object): string {
    const maker = answer as Maker;
    if (maker.#make !== undefined) {
      maker.#made = maker.#make();
      maker.#make = undefined;
    }
    return maker.#made;
  }
}

const property: PropertyDescriptor = {
  get(this: object): string {
    return Maker.contextOf(this);
  },
  enumerable: true,
  configurable: true,
};

/** The same object, with a `context` that is made once, when it is asked for. */
export function withContext<Answer extends object>(
  answer: Answer,
  make: () => string,
): Answer & { readonly context: string } {
  Object.defineProperty(answer, 'context', property);
  new Maker(answer, make);
  return answer as Answer & { readonly context: string };
}
