/** A word of a bash script that stands there as it is, without quotes or expansions. */
export interface BareWord {
  readonly word: string;
  /** bash would run it */
  readonly isCommand: boolean;
}

/** What a command goes on behind; the other reserved words end something. */
const openers = new Set(["if", "then", "else", "elif", "do", "while", "until", "!", "{", "time"]);
const assignment = /^\w+(\[[^\]]*\])?\+?=/;

/**
 * The bare words of a script, those in command substitutions, process substitutions and double quotes included. It reads what
 * components/node is written in, which has no here-documents and no backquotes.
 */
export function bareWords(script: string): BareWord[] {
  const found: BareWord[] = [];
  let at = 0;

  /** A list of commands, or of an array's elements, up to the parenthesis that ends it. */
  function list(isArray: boolean): void {
    let word = "";
    let isBare = true;
    let isNext = !isArray;
    let isTarget = false;
    /** for each case that is open, whether its patterns are read just now */
    const cases: ("subject" | "pattern" | "body")[] = [];

    function endWord(): void {
      if (word === "" && isBare) {
        return;
      }
      const [own, wasBare] = [word, isBare];
      word = "";
      isBare = true;
      if (isTarget) {
        isTarget = false;
      } else if (cases.at(-1) === "subject" && own === "in") {
        cases[cases.length - 1] = "pattern";
      } else if (own === "esac" && wasBare && cases.length > 0) {
        cases.pop();
        isNext = false;
      } else if (isNext && wasBare && own === "case") {
        cases.push("subject");
        isNext = false;
      } else if (isNext && ((wasBare && openers.has(own)) || assignment.test(own))) {
        // a command is still to come
      } else {
        if (wasBare) {
          found.push({ word: own, isCommand: isNext });
        }
        isNext = false;
      }
    }

    function separate(): void {
      endWord();
      isNext = !isArray && cases.at(-1) !== "pattern" && cases.at(-1) !== "subject";
    }

    while (at < script.length) {
      const rest = script.slice(at, at + 3);
      if (rest.startsWith(";;")) {
        endWord();
        cases[cases.length - 1] = "pattern";
        isNext = false;
        at += 2;
      } else if (/^[\n;|&]/.test(rest)) {
        separate();
        at += 1;
      } else if (/^[ \t]/.test(rest)) {
        endWord();
        at += 1;
      } else if (rest.startsWith("#") && word === "" && isBare) {
        at = lineEnd(script, at);
      } else if (/^[<>]\(/.test(rest)) {
        at += 2;
        list(false);
        isBare = false;
      } else if (/^[<>]/.test(rest)) {
        // the number before it is no word
        word = /^\d*$/.test(word) ? "" : word;
        endWord();
        at += /^[<>][<>&|]/.test(rest) ? 2 : 1;
        isTarget = true;
      } else if (rest.startsWith("((") && word === "" && isNext) {
        at += 2;
        arithmetic();
      } else if (rest.startsWith("()")) {
        // a definition
        word = "";
        at += 2;
        isNext = true;
      } else if (rest.startsWith("(")) {
        const isElements = assignment.test(word);
        at += 1;
        if (cases.at(-1) !== "pattern") {
          list(isElements);
          isBare = !isElements;
        }
      } else if (rest.startsWith(")")) {
        endWord();
        at += 1;
        if (cases.at(-1) !== "pattern") {
          return;
        }
        cases[cases.length - 1] = "body";
        isNext = true;
      } else {
        const from = at;
        if (expansion()) {
          isBare = false;
        } else {
          at += script[at] === "\\" ? 2 : 1;
          const text = script.slice(from, at);
          word += text === "\\\n" ? "" : text;
        }
      }
    }
    endWord();
  }

  /** A quote or an expansion, if one begins here. */
  function expansion(): boolean {
    const rest = script.slice(at, at + 3);
    if (rest.startsWith("'")) {
      at = script.indexOf("'", at + 1) + 1;
    } else if (rest.startsWith("$'")) {
      at += 2;
      while (script[at] !== "'") {
        at += script[at] === "\\" ? 2 : 1;
      }
      at += 1;
    } else if (rest.startsWith('"')) {
      at += 1;
      until('"');
    } else if (rest === "$((") {
      at += 3;
      arithmetic();
    } else if (rest.startsWith("$(")) {
      at += 2;
      list(false);
    } else if (rest.startsWith("${")) {
      at += 2;
      until("}");
    } else if (rest.startsWith("$")) {
      at += 1;
    } else {
      return false;
    }
    return true;
  }

  /** Text in which only expansions mean something. */
  function until(end: '"' | "}"): void {
    while (at < script.length && script[at] !== end) {
      const isQuote = script[at] === '"' || script[at] === "'" || script.startsWith("$'", at);
      if (script[at] === "\\") {
        at += 2;
      } else if ((end === '"' && isQuote) || !expansion()) {
        at += 1;
      }
    }
    at += 1;
  }

  function arithmetic(): void {
    let depth = 0;
    while (at < script.length && (depth > 0 || !script.startsWith("))", at))) {
      if (!expansion()) {
        depth += script[at] === "(" ? 1 : script[at] === ")" ? -1 : 0;
        at += 1;
      }
    }
    at += 2;
  }

  while (at < script.length) {
    list(false);
  }
  return found;
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
}
