import type { Call, Principal, ProviderData, RequestNotes } from '../../call.ts'

const nothing: ProviderData = Object.freeze(Object.create(null) as Record<string, unknown>)

/** One request as the middleware sees it; what comes behind gets the same object as its `Call`. */
export class RequestContext implements Call {
  requestId = ''
  principal: Principal | undefined = undefined
  providerData: ProviderData = nothing
  readonly notes: RequestNotes = {}
  readonly startedAt = performance.now()
  /** Names and values in turn; set on the answer whatever it becomes. */
  readonly answerHeaders: string[] = []
  readonly #request: Request
  #controller: AbortController | undefined
  #abortedWith: unknown

  constructor(request: Request) {
    this.#request = request
  }

  /**
   * Aborts when the caller leaves or the server stops waiting. Made when first asked for. Not `AbortSignal.any` with one signal for the
   * whole server: Bun 1.4 keeps whatever was once joined to a long-lived signal for as long as that lives.
   */
  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal
    const controller = new AbortController()
    this.#controller = controller
    const { signal } = this.#request
    if (this.#abortedWith !== undefined) controller.abort(this.#abortedWith)
    else if (signal.aborted) controller.abort(signal.reason)
    else signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true })
    return controller.signal
  }

  /** True once the caller has closed the connection, as far as anybody asked for the signal. */
  get callerLeft(): boolean {
    return this.#controller !== undefined && this.#request.signal.aborted
  }

  /** Calls `listener` at once when that has happened already. */
  whenCallerLeaves(listener: () => void): void {
    // Whoever streams has asked for the signal; this is for those who have not.
    void this.signal
    const { signal } = this.#request
    if (signal.aborted) listener()
    else signal.addEventListener('abort', listener, { once: true })
  }

  abort(reason: Error): void {
    this.#abortedWith = reason
    this.#controller?.abort(reason)
  }
}
