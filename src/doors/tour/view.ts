// What the tour shows while it runs: a bar that redraws itself on a terminal, a line now and then elsewhere.
//
//   Loading  [############----------]  54 %   92,381 of 171,075   10,412/s

export interface View {
  /** A new part begins. */
  step(title: string): void;
  /** How far it is, and what else there is to say of it; may be called as often as you like. */
  progress(done: number, total: number, note?: string): void;
  /** The part is over, and this is what it showed. */
  held(ok: boolean, text: string): void;
  /** Plain text between parts. */
  say(text: string): void;
}

export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export const silentView: View = {
  step: () => undefined,
  progress: () => undefined,
  held: () => undefined,
  say: () => undefined,
};

/** A terminal redraws ten times a second; a log gets a line every few seconds. */
const redrawMs = 100;
const lineMs = 5_000;
const barWidth = 30;
const clearLine = '\r\u001b[2K';

export function viewOn(screen: Screen, now: () => number = () => performance.now()): View {
  const terminal = screen.isTTY === true;
  let title = '';
  let beganAt = 0;
  let drawnAt = 0;
  const line = (done: number, total: number, note: string | undefined): string => {
    const share = total === 0 ? 1 : done / total;
    const full = Math.round(share * barWidth);
    const bar = `[${'#'.repeat(full)}${'-'.repeat(barWidth - full)}]`;
    const perSecond = Math.round(done / Math.max(0.001, (now() - beganAt) / 1_000));
    const percent = `${Math.floor(share * 100)}`.padStart(3);
    return `  ${title}  ${bar} ${percent} %   ${grouped(done)} of ${grouped(total)}   ${note ?? `${grouped(perSecond)}/s`}`;
  };
  return {
    step(name) {
      title = name;
      beganAt = now();
      drawnAt = beganAt;
      if (!terminal) screen.write(`  ${title} ...\n`);
    },
    progress(done, total, note) {
      if (now() - drawnAt < (terminal ? redrawMs : lineMs)) return;
      drawnAt = now();
      if (!terminal) screen.write(`${line(done, total, note)}\n`);
      else screen.write(clearLine + line(done, total, note).slice(0, Math.max(20, (screen.columns || 120) - 1)));
    },
    held(ok, text) {
      screen.write(`${terminal ? clearLine : ''}  ${ok ? 'ok' : 'NO'}  ${text}\n`);
    },
    say(text) {
      screen.write(`${terminal ? clearLine : ''}${text}\n`);
    },
  };
}

/** 171075 as 171,075. */
export function grouped(n: number): string {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Columns as wide as their widest cell; the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => (row[column] ?? '').length)));
  return rows
    .map(row => {
      const cells = row.map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      });
      return `  ${cells.join('   ')}`.trimEnd();
    })
    .join('\n');
}
