import type { AbortListener, AbortListenable } from '../../call.ts'

/** Notifies of a caller that disconnects, or a server that aborts: a call's signal for code that only listens, mostly one listener. */
export class ClientDisconnect implements AbortListenable {
  aborted = false
  reason: unknown = undefined
  readonly #signal: AbortSignal
  readonly #listeners: AbortListener[] = []

  /** `signal`: the request's own. `abortedWith`: why the server has stopped waiting already. */
  constructor(signal: AbortSignal, abortReason: unknown) {
    this.#signal = signal
    if (abortReason !== undefined) this.abort(abortReason)
    else if (signal.aborted) this.handleEvent()
    else signal.addEventListener('abort', this, { once: true })
  }

  /** The caller has disconnected. */
  handleEvent(): void {
    this.abort(this.#signal.reason)
  }

  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    for (const listener of this.#listeners.splice(0)) {
      if (typeof listener === 'function') listener()
      else listener.handleEvent()
    }
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason
  }

  addEventListener(_type: 'abort', listener: AbortListener): void {
    if (!this.aborted) this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: AbortListener): void {
    const at = this.#listeners.indexOf(listener)
    if (at >= 0) this.#listeners.splice(at, 1)
  }
}
