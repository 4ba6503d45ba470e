/** Something that set-up may not do by itself; the message says what to do instead. */
export class SetupError extends Error {
  override readonly name = "SetupError";
}
