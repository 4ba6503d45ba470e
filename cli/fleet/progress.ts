import { clearScreenDown, moveCursor } from "node:readline";
import { cut, type Paint, widthOf } from "../terminal.ts";
import { describeResult, type Result } from "./result.ts";

/** Shows what a run is doing. */
interface Progress {
  tell(stack: string, stage: string, detail: string): void;
  done(result: Result): void;
  end(): void;
}

/** A line per stack at work that changes in place, on a terminal; else a line per change of stage. */
export function progressOn(stream: NodeJS.WriteStream, total: number, paint: Paint): Progress {
  return stream.isTTY ? liveLines(stream, total, paint) : plainLines(stream);
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

function liveLines(stream: NodeJS.WriteStream, total: number, paint: Paint): Progress {
  const atWork = new Map<string, string>();
  let [done, drawn] = [0, 0];
  const erase = () => {
    if (drawn > 0) {
      moveCursor(stream, 0, -drawn);
      clearScreenDown(stream);
      drawn = 0;
    }
  };
  const draw = (above = "") => {
    erase();
    const width = widthOf(stream);
    const lines = [...atWork].map(([stack, what]) => cut(`${stack}  ${what}`, width - 1));
    stream.write(`${above}${[...lines, paint("quiet", `${done} of ${total} done`)].join("\n")}\n`);
    drawn = lines.length + 1;
  };
  return {
    tell: (stack, stage, detail) => {
      atWork.set(stack, detail === "" ? stage : `${stage}: ${detail}`);
      draw();
    },
    done: (result) => {
      atWork.delete(result.stack);
      done += 1;
      draw(`${result.stack}  ${describeResult(result)}\n`);
    },
    end: erase,
  };
}
