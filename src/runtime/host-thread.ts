// Is this a host thread? A module that starts a node at its top level and defines an actor is imported by every host thread of that
// node; there it must not start another one, whose threads would import it again.

let hosts = false;

export function beHostThread(): void {
  hosts = true;
}

export function isHostThread(): boolean {
  return hosts;
}
