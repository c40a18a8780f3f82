// The other process of a way: forked, told what its end is made of, asked where it listens, ended.

import { type ChildProcess, fork } from 'node:child_process';

export class FarProcess {
  private child: ChildProcess | undefined;

  /** `way`: by its name in ways.ts. `given`: plain data for its far end. Resolves with the address to dial. */
  async start(way: string, given: unknown): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const child = fork(new URL('./far.ts', import.meta.url), [way], { serialization: 'advanced' });
    this.child = child;
    child.once('message', address => resolve(address as string));
    child.once('exit', code => reject(new Error(`the far process of ${way} ended with ${code}`)));
    child.send({ given });
    return promise;
  }

  async end(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}
