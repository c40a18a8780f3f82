// One process of a cluster, as its parent holds it: started, asked over IPC, killed, started again in the same directory.
//
//     parent   [id, command, ...arguments] ─▶ child ─▶ [id, 'ok', value] or [id, 'error', what]       [0, 'ok', ...]: it is up
//                                               └─────▶ [-1, 'news', value]: how far it is
//
// Invariant: every request ends: with what the child has answered, or with Died once it is no more.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** What a child answers to: by name, plain data in and out. */
export type Commands = Readonly<Record<string, (...args: any[]) => unknown>>;

type Answer<All extends Commands, Name extends keyof All> = Awaited<ReturnType<All[Name]>>;

/** The process died before it had answered: nobody knows what was done. */
export class Died extends Error {
  readonly code = 'DIED';
  readonly outcome = 'unknown';
}

/** The child has answered with an error: of Troupe, then with its code and outcome, or another. */
export class Refused extends Error {
  readonly code: string;
  readonly outcome: string;

  constructor({ code, outcome, message }: { code: string; outcome: string; message: string }) {
    super(message);
    this.code = code;
    this.outcome = outcome;
  }
}

/** What a child may leave on stderr, of which the end is shown when it ends by itself. */
const errorCharsKept = 2_000;

export class Member<All extends Commands> {
  readonly name: string;
  readonly #file: string;
  readonly #task: object;
  #child: ChildProcess | undefined;
  #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 0;
  /** Hears what the child says without being asked. */
  onNews: (news: unknown) => void = () => undefined;

  /** `task` is what the child finds as JSON in its first argument. */
  constructor(name: string, file: string, task: object) {
    this.name = name;
    this.#file = file;
    this.#task = task;
  }

  /** Resolves when the child says that it is up. */
  async start(): Promise<void> {
    const child = fork(this.#file, [JSON.stringify(this.#task)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    this.#child = child;
    const up = Promise.withResolvers<unknown>();
    const waiting = new Map([[0, up]]);
    this.#waiting = waiting;
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-errorCharsKept);
    });
    child.on('message', ([id, how, value]: [number, 'ok' | 'error' | 'news', never]) => {
      const asked = waiting.get(id);
      waiting.delete(id);
      if (how === 'news') this.onNews(value);
      else if (how === 'ok') asked?.resolve(value);
      else asked?.reject(new Refused(value));
    });
    // 'close' comes when everything it has said has been read.
    child.on('close', (code, signal) => {
      if (this.#child === child) this.#child = undefined;
      const why = `the process of ${this.name} has ended (${signal ?? `exit code ${code}`}) ${errors.trim()}`;
      for (const { reject } of waiting.values()) reject(new Died(why));
      waiting.clear();
    });
    await up.promise;
  }

  /** Rejects with Refused, or with Died. */
  ask<Name extends keyof All & string>(name: Name, ...args: Parameters<All[Name]>): Promise<Answer<All, Name>> {
    const child = this.#child;
    if (child === undefined || !child.connected) return Promise.reject(new Died(`${this.name} is not running`));
    const id = ++this.#next;
    const waiting = this.#waiting;
    const asked = Promise.withResolvers<unknown>();
    waiting.set(id, asked);
    child.send([id, name, ...args], error => {
      if (error !== null && waiting.delete(id)) asked.reject(new Died(`${this.name}: ${error.message}`));
    });
    return asked.promise as Promise<Answer<All, Name>>;
  }

  /** SIGSTOP and SIGCONT: it stands still, and goes on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name);
  }

  /** SIGKILL, also while it stands still. Resolves when it is no more. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }

  /** Lets the child go. Resolves with its exit code, or the signal that ended it. */
  async end(): Promise<number | string> {
    const child = this.#child;
    if (child === undefined) return 0;
    const closed = once(child, 'close') as Promise<[number | null, string | null]>;
    // Not child.disconnect(): after that there is no 'close' (Node 24).
    child.send([0, 'end']);
    const [code, signal] = await closed;
    return code ?? signal ?? '';
  }
}

/** The other side: answers what the parent asks, and ends with it. Ctrl-C in a terminal reaches every process of the group; it is the parent's. */
export function serveParent(commands: Commands, up: unknown): void {
  process.on('disconnect', () => process.exit(0));
  process.on('SIGINT', () => undefined);
  process.on('message', async ([id, name, ...args]: [number, string, ...unknown[]]) => {
    if (name === 'end') {
      process.disconnect();
      return;
    }
    try {
      process.send?.([id, 'ok', (await commands[name]?.(...args)) ?? null]);
    } catch (error) {
      const { code, outcome, message } = error as { code?: string; outcome?: string; message: string };
      process.send?.([id, 'error', { code, outcome, message }]);
    }
  });
  process.send?.([0, 'ok', up]);
}

export function sayToParent(news: unknown): void {
  process.send?.([-1, 'news', news]);
}
