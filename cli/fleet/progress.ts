import { clearScreenDown, moveCursor } from "node:readline";
import { cut, type Paint, widthOf } from "../terminal.ts";
import { describeResult, type Result } from "./result.ts";

/** Shows what a run is doing. */
export interface Progress {
  tell(stack: string, stage: string, detail: string): void;
  done(result: Result): void;
  end(): void;
}

/** A line per stack at work that changes in place, on a terminal; else a line per change of stage. */
export function progressOn(stream: NodeJS.WriteStream, total: number, paint: Paint): Progress {
  return stream.isTTY ? new LiveLines(stream, total, paint) : plainLines(stream);
}

function plainLines(stream: NodeJS.WriteStream): Progress {
  const stages = new Map<string, string>();
  return {
    tell: (stack, stage) => {
      if (stages.get(stack) !== stage) {
        stages.set(stack, stage);
        stream.write(`${stack}: ${stage}\n`);
      }
    },
    done: (result) => stream.write(`${result.stack}: ${describeResult(result)}\n`),
    end: () => undefined,
  };
}

class LiveLines implements Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #total: number;
  readonly #paint: Paint;
  readonly #atWork = new Map<string, string>();
  #done = 0;
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream, total: number, paint: Paint) {
    this.#stream = stream;
    this.#total = total;
    this.#paint = paint;
  }

  tell(stack: string, stage: string, detail: string): void {
    this.#atWork.set(stack, detail === "" ? stage : `${stage}: ${detail}`);
    this.#draw();
  }

  done(result: Result): void {
    this.#atWork.delete(result.stack);
    this.#done += 1;
    this.#draw(`${result.stack}  ${describeResult(result)}\n`);
  }

  end(): void {
    this.#erase();
  }

  #draw(above = ""): void {
    this.#erase();
    const width = widthOf(this.#stream);
    const lines = [...this.#atWork].map(([stack, what]) => cut(`${stack}  ${what}`, width - 1));
    const count = `${this.#done} of ${this.#total} done`;
    this.#stream.write(`${above}${[...lines, this.#paint("quiet", count)].join("\n")}\n`);
    this.#drawn = lines.length + 1;
  }

  #erase(): void {
    if (this.#drawn > 0) {
      moveCursor(this.#stream, 0, -this.#drawn);
      clearScreenDown(this.#stream);
      this.#drawn = 0;
    }
  }
}
