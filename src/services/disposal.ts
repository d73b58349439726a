/** What a server is made of, closed in reverse. `AsyncDisposableStack` does the same, but Node has it only from version 24 on. */
export class DisposalStack implements AsyncDisposable {
  readonly #parts: AsyncDisposable[] = []

  use<Part extends AsyncDisposable>(part: Part): Part {
    this.#parts.push(part)
    return part
  }

  /** Closes all parts, and throws the first error only then. */
  async [Symbol.asyncDispose](): Promise<void> {
    let failed: { readonly error: unknown } | undefined
    for (const part of this.#parts.splice(0).toReversed()) {
      try {
        await part[Symbol.asyncDispose]()
      } catch (error) {
        failed ??= { error }
      }
    }
    if (failed) throw failed.error
  }
}
