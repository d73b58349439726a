import type { AbortListenable, AttemptFacts, CallTrace, Principal, ProviderData, RequestRecord } from '../../call.ts'
import type { Operation } from '../../operations/operation.ts'
import type { UploadObserver } from '../body.ts'
import type { BodyBudget } from '../body-budget.ts'
import { ClientDisconnect } from './client-disconnect.ts'
import type { DispatchedCall, RouteMatch } from '../mount.ts'
import { routingPath } from '../request-path.ts'

/** The connections that requests come in on. */
export interface ConnectionControl {
  /** The request is complete: its connection may be closed once it is idle for a while. */
  mayIdle(request: Request): void
  /** The connection is closed within seconds unless its caller reads. */
  closeUnread?(request: Request): void
  /** The IP address of the other end; undefined for a Unix socket. */
  addressOf?(request: Request): string | undefined
}

/** The caller's own address, given the request and the connection's. */
export type ClientAddressResolver = (headers: Headers, peerAddress: string) => string

const noProviderData: ProviderData = Object.freeze(Object.create(null) as Record<string, unknown>)

/**
 * One request in the middleware. The same object is the `Call` and its record: on the hot path one object of one shape costs less than
 * three.
 */
export class RequestContext implements DispatchedCall, RequestRecord, UploadObserver {
  requestId = ''
  trace: CallTrace | undefined = undefined
  principal: Principal | undefined = undefined
  /** The route; null: none; undefined: not looked up yet. */
  match: RouteMatch | null | undefined = undefined
  /** Determines the caller's address behind trusted proxies. */
  resolveClientAddress: ClientAddressResolver | undefined = undefined
  providerData: ProviderData = noProviderData
  readonly startedAt = performance.now()
  /** Names and values in turn; set on the response, errors included. */
  readonly responseHeaders: string[] = []

  route: string | undefined = undefined
  model: string | undefined = undefined
  attempt: AttemptFacts | undefined = undefined
  requestBytes: number | undefined = undefined
  responseBytes: number | undefined = undefined
  failure: unknown = undefined
  failedBody: unknown = undefined
  streaming = false
  closesConnection = false

  /** Of the response; 0 before. */
  status = 0
  /** What was thrown instead of a response. */
  error: unknown = undefined
  /** The stream has ended. */
  streamEnded = false
  /** Called once it is complete and its head was sent. */
  onComplete: ((context: RequestContext) => void) | undefined = undefined
  /** Called before that: releases what the request holds of limits. */
  settleQuota: ((context: RequestContext) => void) | undefined = undefined

  /** Counts the bytes of its body that are in memory. */
  bodyBudget: BodyBudget | undefined = undefined
  #bufferedBytes = 0

  /** Its place among the active requests. */
  slot = -1
  readonly request: Request
  #controller: AbortController | undefined = undefined
  #disconnect: ClientDisconnect | undefined = undefined
  #abortReason: unknown = undefined
  #completionTimer: ReturnType<typeof setTimeout> | undefined = undefined
  /** Ends the wait for the body while that is being read. */
  #abandonUpload: ((reason: Error) => void) | undefined = undefined
  /** `performance.now()` when the last of the body so far came. */
  #lastUploadAt = 0
  readonly #connections: ConnectionControl | undefined
  #path: string | undefined = undefined

  constructor(request: Request, connections?: ConnectionControl) {
    this.request = request
    this.#connections = connections
  }

  /** Not decoded, without query and slashes at its end, with single slashes. */
  get path(): string {
    return (this.#path ??= routingPath(this.request.url))
  }

  /** The IP address of the connection's other end, whatever headers say. Looked up on demand: few requests need it. */
  get peerAddress(): string | undefined {
    return withoutMapping(this.#connections?.addressOf?.(this.request))
  }

  get clientAddress(): string | undefined {
    const peer = this.peerAddress
    return peer === undefined || !this.resolveClientAddress ? peer : this.resolveClientAddress(this.request.headers, peer)
  }

  get operation(): Operation | undefined {
    return this.match?.route.operation
  }

  get uploadObserver(): UploadObserver {
    return this
  }

  uploadStarted(abandon: (reason: Error) => void): void {
    this.#abandonUpload = abandon
    this.#lastUploadAt = this.startedAt
  }

  uploadProgressed(): void {
    this.#lastUploadAt = performance.now()
  }

  uploadFinished(): void {
    this.#abandonUpload = undefined
  }

  reserveBytes(bytes: number): void {
    // What still arrives of an abandoned body is not counted: nothing would release it.
    if (!this.#abandonUpload) throw new Error('the body is not awaited any more')
    try {
      this.bodyBudget?.reserve(bytes)
    } catch (error) {
      this.#releaseBody()
      throw error
    }
    this.#bufferedBytes += bytes
  }

  #releaseBody(): void {
    this.bodyBudget?.release(this.#bufferedBytes)
    this.#bufferedBytes = 0
  }

  /** Abandons a body of which nothing has arrived since `time` (`performance.now()`); absent: any that is not complete. */
  abortUpload(reason: Error, time = Infinity): void {
    if (this.#abandonUpload && this.#lastUploadAt <= time) this.#abandonUpload(reason)
  }

  get record(): RequestRecord {
    return this
  }

  /** A short stream can end before its head was sent. */
  complete(): void {
    this.streamEnded = true
    if (this.status === 0) return
    clearTimeout(this.#completionTimer)
    this.#releaseBody()
    if (this.closesConnection) this.#connections?.closeUnread?.(this.request)
    else this.#connections?.mayIdle(this.request)
    const { onComplete, settleQuota } = this
    this.onComplete = undefined
    this.settleQuota = undefined
    settleQuota?.(this)
    onComplete?.(this)
  }

  /**
   * Aborts when the caller disconnects or the server aborts. Made on first use. Not `AbortSignal.any` with one signal for the
   * whole server: Bun 1.4 retains everything that was joined to a long-lived signal as long as that lives.
   */
  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal
    const controller = new AbortController()
    this.#controller = controller
    const { signal } = this.request
    if (this.#abortReason !== undefined) controller.abort(this.#abortReason)
    else if (signal.aborted) controller.abort(signal.reason)
    else signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true })
    return controller.signal
  }

  get abortListenable(): AbortListenable {
    if (this.#disconnect) return this.#disconnect
    this.#disconnect = new ClientDisconnect(this.request.signal, this.#abortReason)
    return this.#disconnect
  }

  /** True once the caller has closed the connection; only where the signal or the listenable was used. */
  get disconnected(): boolean {
    return (this.#controller !== undefined || this.#disconnect !== undefined) && this.request.signal.aborted
  }

  /** Completes it where the caller has disconnected and the stream does not report its end within `grace` milliseconds. */
  completeAfterDisconnect(grace: number): void {
    const { signal } = this
    const watch = (): void => {
      if (this.disconnected && this.onComplete) this.#completionTimer = setTimeout(() => this.complete(), grace)
    }
    if (signal.aborted) watch()
    else signal.addEventListener('abort', watch, { once: true })
  }

  abort(reason: Error): void {
    // The first reason counts.
    if (!this.request.signal.aborted) this.#abortReason ??= reason
    this.#controller?.abort(reason)
    this.#disconnect?.abort(reason)
    this.abortUpload(reason)
  }
}

/** A socket that takes both kinds shows IPv4 as `::ffff:192.0.2.1`. */
function withoutMapping(address: string | undefined): string | undefined {
  return address?.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
