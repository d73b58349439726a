import type { AbortNotice, CallTrace, Principal, ProviderData, RequestNotes } from '../../call.ts'
import type { UploadWatch } from '../body.ts'
import type { BodyBudget } from '../body-budget.ts'
import { Departure } from './departure.ts'
import type { DispatchedCall, FoundRoute } from '../mount.ts'
import { pathOf } from '../request-path.ts'

/** The connections that requests come in on. */
export interface Connections {
  /** The request is over: its connection may be closed once nothing comes on it for a while. */
  mayIdle(request: Request): void
  /** The connection is closed within seconds unless its caller reads. */
  closeUnread?(request: Request): void
  /** The IP address of who is at the other end; undefined for a Unix socket. */
  addressOf?(request: Request): string | undefined
}

/** The caller's own address, given the request and the connection's. */
export type AddressBehind = (headers: Headers, peerAddress: string) => string

const nothing: ProviderData = Object.freeze(Object.create(null) as Record<string, unknown>)

/**
 * One request as the middleware sees it; what comes behind gets the same object as its `Call`, and once more as the call's notes: on the
 * hot path one object of one shape costs less than three.
 */
export class RequestContext implements DispatchedCall, RequestNotes, UploadWatch {
  requestId = ''
  trace: CallTrace | undefined = undefined
  principal: Principal | undefined = undefined
  /** Which route answers; null: none; undefined: not looked for yet. */
  found: FoundRoute | null | undefined = undefined
  /** Tells the caller's address from the connection's, where there are trusted proxies. */
  addressBehind: AddressBehind | undefined = undefined
  providerData: ProviderData = nothing
  readonly startedAt = performance.now()
  /** Names and values in turn; set on the answer whatever it becomes. */
  readonly answerHeaders: string[] = []

  route: string | undefined = undefined
  model: string | undefined = undefined
  provider: string | undefined = undefined
  upstreamModel: string | undefined = undefined
  requestBytes: number | undefined = undefined
  answerBytes: number | undefined = undefined
  inputTokens: number | undefined = undefined
  outputTokens: number | undefined = undefined
  costNanoDollars: number | undefined = undefined
  firstTokenAt: number | undefined = undefined
  failure: unknown = undefined
  asked: unknown = undefined
  streaming = false
  closesConnection = false

  /** The status that was answered; 0 before. */
  status = 0
  /** What was thrown in the place of an answer. */
  error: unknown = undefined
  /** Whoever streams has said that it is over. */
  ended = false
  /** What is to happen once it is over and answered. */
  whenOver: ((context: RequestContext) => void) | undefined = undefined
  /** The same, before that: gives back what the request held of limits. */
  settleQuota: ((context: RequestContext) => void) | undefined = undefined

  /** Counts the bytes of its body that are in memory. */
  bodyBudget: BodyBudget | undefined = undefined
  #heldBytes = 0

  /** Where it stands among the running requests. */
  slot = -1
  readonly request: Request
  #controller: AbortController | undefined = undefined
  #departure: Departure | undefined = undefined
  #abortedWith: unknown = undefined
  #giveUp: ReturnType<typeof setTimeout> | undefined = undefined
  /** Ends the wait for the body while that is being read. */
  #giveUpUpload: ((reason: Error) => void) | undefined = undefined
  /** `performance.now()` when the last of the body so far came. */
  #uploadMovedAt = 0
  readonly #connections: Connections | undefined
  #path: string | undefined = undefined

  constructor(request: Request, connections?: Connections) {
    this.request = request
    this.#connections = connections
  }

  /** Not decoded, without query and slashes at its end, with single slashes. */
  get path(): string {
    return (this.#path ??= pathOf(this.request.url))
  }

  /** The IP address of who is at the other end of the connection, whatever headers say. Looked up when asked for: few requests need it. */
  get peerAddress(): string | undefined {
    return withoutMapping(this.#connections?.addressOf?.(this.request))
  }

  get clientAddress(): string | undefined {
    const peer = this.peerAddress
    return peer === undefined || !this.addressBehind ? peer : this.addressBehind(this.request.headers, peer)
  }

  get uploadWatch(): UploadWatch {
    return this
  }

  uploadBegins(giveUp: (reason: Error) => void): void {
    this.#giveUpUpload = giveUp
    this.#uploadMovedAt = this.startedAt
  }

  uploadMoves(): void {
    this.#uploadMovedAt = performance.now()
  }

  uploadEnds(): void {
    this.#giveUpUpload = undefined
  }

  holds(bytes: number): void {
    // What still arrives of a body that was given up is not counted: nothing would release it.
    if (!this.#giveUpUpload) throw new Error('the body is no longer waited for')
    try {
      this.bodyBudget?.take(bytes)
    } catch (error) {
      this.#releaseBody()
      throw error
    }
    this.#heldBytes += bytes
  }

  #releaseBody(): void {
    this.bodyBudget?.release(this.#heldBytes)
    this.#heldBytes = 0
  }

  /** Gives up on a body of which nothing has come since `time` (`performance.now()`); absent: on any that is not there yet. */
  abortUpload(reason: Error, time = Infinity): void {
    if (this.#giveUpUpload && this.#uploadMovedAt <= time) this.#giveUpUpload(reason)
  }

  get notes(): RequestNotes {
    return this
  }

  /** A short stream may be over before its head has been answered. */
  over(): void {
    this.ended = true
    if (this.status === 0) return
    clearTimeout(this.#giveUp)
    this.#releaseBody()
    if (this.closesConnection) this.#connections?.closeUnread?.(this.request)
    else this.#connections?.mayIdle(this.request)
    const { whenOver, settleQuota } = this
    this.whenOver = undefined
    this.settleQuota = undefined
    settleQuota?.(this)
    whenOver?.(this)
  }

  /**
   * Aborts when the caller leaves or the server stops waiting. Made when first asked for. Not `AbortSignal.any` with one signal for the
   * whole server: Bun 1.4 keeps whatever was once joined to a long-lived signal for as long as that lives.
   */
  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal
    const controller = new AbortController()
    this.#controller = controller
    const { signal } = this.request
    if (this.#abortedWith !== undefined) controller.abort(this.#abortedWith)
    else if (signal.aborted) controller.abort(signal.reason)
    else signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true })
    return controller.signal
  }

  get abortNotice(): AbortNotice {
    if (this.#departure) return this.#departure
    this.#departure = new Departure(this.request.signal, this.#abortedWith)
    return this.#departure
  }

  /** True once the caller has closed the connection, as far as anybody asked for the signal or the notice. */
  get callerLeft(): boolean {
    return (this.#controller !== undefined || this.#departure !== undefined) && this.request.signal.aborted
  }

  /** Ends it by itself when the caller has left and whoever streams has not said so after `patience` milliseconds. */
  endAfterCaller(patience: number): void {
    const { signal } = this
    const watch = (): void => {
      if (this.callerLeft && this.whenOver) this.#giveUp = setTimeout(() => this.over(), patience)
    }
    if (signal.aborted) watch()
    else signal.addEventListener('abort', watch, { once: true })
  }

  abort(reason: Error): void {
    // Whichever came first counts.
    if (!this.request.signal.aborted) this.#abortedWith ??= reason
    this.#controller?.abort(reason)
    this.#departure?.abort(reason)
    this.abortUpload(reason)
  }
}

/** A socket that takes both kinds shows IPv4 as `::ffff:192.0.2.1`. */
function withoutMapping(address: string | undefined): string | undefined {
  return address?.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
