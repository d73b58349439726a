import { readChunks, type ChunkReader } from '../runtime/stream-chunks.ts'
import type { EgressBody, EgressRequest, EgressResponse } from './contract.ts'
import { EgressError, explain } from './egress-error.ts'
import { canConnect, firstHop } from './probe.ts'
import { sliceBytes, type TurnBudget } from './turn-budget.ts'
import { isCompressed, decompress } from './decompress.ts'

/** Milliseconds. */
export const defaultConnectTimeout = 10_000
/** Milliseconds. */
export const defaultFirstByteTimeout = 600_000
/** Milliseconds. */
export const defaultIdleTimeout = 300_000

/** A probe may take this long at most. */
const maxProbeTime = 5_000

/** An idle body is noticed after this many ticks; a tick is a quarter of the idle timeout. */
const idleTicks = 4

/** What is left after the last frame that matters is read on, up to this much and this long, so that the connection can serve again. */
const maxDrainBytes = 65_536
const maxDrainTime = 1_000

/** How one exchange goes. */
interface EgressExchangeOptions {
  readonly budget: TurnBudget
  /** The proxy that fetch is given; for probes and messages. */
  readonly proxy?: string
  /** What the log calls the host, where the URL names it otherwise. */
  readonly shownHost?: string
}

/** One request and its response, with everything that must be cleaned up. */
export class EgressExchange implements EgressBody, EventListenerObject {
  readonly #url: string
  readonly #request: EgressRequest
  readonly #options: EgressExchangeOptions
  readonly #controller = new AbortController()
  #timer: ReturnType<typeof setTimeout> | undefined
  #ticker: ReturnType<typeof setInterval> | undefined
  /** Why it was given up from this side. */
  #failure: EgressError | undefined
  #response: Response | undefined
  #reader: ChunkReader | undefined
  /** What has arrived beyond the last slice. */
  #rest: readonly Uint8Array[] = none
  #isOver = false
  #waiting = false
  #quietTicks = 0

  constructor(url: string, request: EgressRequest, options: EgressExchangeOptions) {
    this.#url = url
    this.#request = request
    this.#options = options
  }

  /** `turn`: when it goes out, with others. Default: now. */
  async send(fetchOptions: object, dispatched?: Promise<void>): Promise<EgressResponse> {
    const { signal, method, headers, body } = this.#request
    if (signal.aborted) throw signal.reason
    signal.addEventListener('abort', this, { once: true })
    this.#startHeadTimer()
    try {
      if (dispatched) await dispatched
      this.#response = await fetch(this.#url, {
        method,
        headers,
        body: body as BodyInit,
        signal: this.#controller.signal,
        redirect: 'manual',
        // See `unpack`.
        decompress: false,
        ...fetchOptions,
      })
    } catch (error) {
      throw this.#fail(error)
    }
    clearTimeout(this.#timer)
    return new FetchedResponse(this.#response, this)
  }

  /** The caller has left, or the server stops waiting. */
  handleEvent(): void {
    this.#controller.abort(this.#request.signal.reason)
  }

  async read(): Promise<readonly Uint8Array[] | undefined> {
    if (this.#isOver) return this.#afterEnd()
    let pieces: readonly Uint8Array[] | undefined = this.#rest
    if (pieces.length === 0 || this.#controller.signal.aborted) {
      this.#reader ??= this.#open()
      this.#waiting = true
      this.#quietTicks = 0
      try {
        pieces = await this.#reader.read()
      } catch (error) {
        if (this.#isOver) return this.#afterEnd()
        throw this.#fail(error)
      }
      this.#waiting = false
      if (pieces === undefined) {
        this.#finish()
        return undefined
      }
    }
    const size = sizeOf(pieces)
    if (size > sliceBytes) pieces = this.#cut(pieces)
    else this.#rest = none
    const dispatched = this.#options.budget.take(Math.min(size, sliceBytes))
    if (!dispatched) return pieces
    await dispatched
    return this.#isOver ? this.#afterEnd() : pieces
  }

  /** The first slice of pieces that are larger; the others wait for the next read. */
  #cut(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
    let at = 0
    let room = sliceBytes
    for (; (pieces[at] as Uint8Array).length <= room; at += 1) room -= (pieces[at] as Uint8Array).length
    const last = pieces[at] as Uint8Array
    this.#rest = [last.subarray(room), ...pieces.slice(at + 1)]
    return room === 0 ? pieces.slice(0, at) : [...pieces.slice(0, at), last.subarray(0, room)]
  }

  async bytes(limit: number): Promise<Uint8Array> {
    const { headers } = this.#response as Response
    const length = headers.get('content-length')
    // Length known, nothing packed or read: the whole of it in one go, much faster than piece by piece.
    if (this.#reader || length === null || isCompressed(headers.get('content-encoding'))) return this.#bytesOfPieces(limit)
    if (Number(length) > limit) throw this.#tooLargeError(limit)
    if (this.#isOver) return new Uint8Array()
    this.#timer = setTimeout(EgressExchange.#idleTimedOut, this.#idleTimeout(), this)
    try {
      const bytes = Buffer.from(await (this.#response as Response).arrayBuffer())
      this.#finish()
      return bytes
    } catch (error) {
      throw this.#fail(error)
    }
  }

  cancel(): void {
    if (this.#isOver) return
    this.#finish()
    this.#controller.abort()
  }

  drain(): void {
    if (this.#isOver) return
    const timer = setTimeout(() => this.cancel(), maxDrainTime)
    const rest = async (): Promise<void> => {
      let size = 0
      for (let pieces = await this.read(); pieces && size <= maxDrainBytes; pieces = await this.read()) {
        for (const piece of pieces) size += piece.length
      }
    }
    rest()
      // These bytes are not needed any more: a connection that fails now is not reused.
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(timer)
        this.cancel()
      })
  }

  #open(): ChunkReader {
    const { body, headers } = this.#response as Response
    if (!body) return emptyReader
    this.#ticker = setInterval(() => {
      if (!this.#waiting) return
      this.#quietTicks += 1
      if (this.#quietTicks > idleTicks) EgressExchange.#idleTimedOut(this)
    }, this.#idleTimeout() / idleTicks)
    const encoding = headers.get('content-encoding')
    return isCompressed(encoding) ? decompress(readChunks(body), encoding) : readChunks(body)
  }

  async #bytesOfPieces(limit: number): Promise<Uint8Array> {
    const all: Uint8Array[] = []
    let size = 0
    for (let pieces = await this.read(); pieces; pieces = await this.read()) {
      for (const piece of pieces) {
        size += piece.length
        if (size > limit) throw this.#tooLargeError(limit)
        all.push(piece)
      }
    }
    return all.length === 1 ? (all[0] as Uint8Array) : Buffer.concat(all)
  }

  #tooLargeError(limit: number): EgressError {
    this.cancel()
    return new EgressError('too_large', `the response is larger than ${limit} bytes`)
  }

  #idleTimeout(): number {
    return this.#request.network?.idleTimeout ?? defaultIdleTimeout
  }

  #idleError(): EgressError {
    return new EgressError('timeout', `no data received for ${seconds(this.#idleTimeout())}`, new Error(`idle (${this.#host()})`))
  }

  /** Limits the time to the head. fetch does not report when it has connected, so a probe checks that once the connect timeout is over. */
  #startHeadTimer(): void {
    const { connectTimeout, firstByteTimeout } = this.#headTimeouts()
    if (firstByteTimeout <= connectTimeout) this.#timer = setTimeout(EgressExchange.#headTimedOut, firstByteTimeout, this)
    else this.#timer = setTimeout(EgressExchange.#checkConnection, connectTimeout, this)
  }

  // What timers call has no closure of its own: hardly ever does one of them run, and each request sets two.

  static readonly #checkConnection = (exchange: EgressExchange): void => {
    const { connectTimeout, firstByteTimeout } = exchange.#headTimeouts()
    exchange.#timer = setTimeout(EgressExchange.#headTimedOut, firstByteTimeout - connectTimeout, exchange)
    void exchange.#probe(connectTimeout)
  }

  static readonly #headTimedOut = (exchange: EgressExchange): void => {
    const waited = seconds(exchange.#headTimeouts().firstByteTimeout)
    exchange.#abort(new EgressError('timeout', `no response within ${waited}`, new Error(`no head (${exchange.#host()})`)))
  }

  static readonly #idleTimedOut = (exchange: EgressExchange): void => {
    exchange.#abort(exchange.#idleError())
  }

  #headTimeouts(): { connectTimeout: number; firstByteTimeout: number } {
    const { connectTimeout = defaultConnectTimeout, firstByteTimeout = defaultFirstByteTimeout } = this.#request.network ?? {}
    return { connectTimeout, firstByteTimeout }
  }

  async #probe(connectTimeout: number): Promise<void> {
    const works = await canConnect(
      firstHop(this.#url, { unixSocket: this.#request.network?.unixSocket, proxy: this.#options.proxy }),
      Math.min(connectTimeout, maxProbeTime),
    )
    if (works || this.#response) return
    this.#abort(new EgressError('timeout', `no connection within ${seconds(connectTimeout)}`, new Error(`connect (${this.#host()})`)))
  }

  #abort(failure: EgressError): void {
    if (this.#isOver) return
    this.#failure = failure
    this.#controller.abort(failure)
  }

  /** What to throw for what was thrown. */
  #fail(error: unknown): unknown {
    this.#finish()
    const { signal } = this.#request
    if (this.#failure) return this.#failure
    if (signal.aborted) return signal.reason
    return (this.#failure = explain(error, { host: this.#host(), proxy: this.#proxy() }))
  }

  #afterEnd(): undefined {
    if (this.#failure) throw this.#failure
    return undefined
  }

  #finish(): void {
    this.#isOver = true
    this.#waiting = false
    this.#rest = none
    clearTimeout(this.#timer)
    clearInterval(this.#ticker)
    this.#reader?.close?.()
    this.#request.signal.removeEventListener('abort', this)
  }

  #proxy(): string | undefined {
    const { proxy } = this.#options
    return proxy === undefined ? undefined : hostOf(proxy)
  }

  #host(): string {
    return this.#options.shownHost ?? hostOf(this.#url)
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'no valid URL'
}

const none: readonly Uint8Array[] = []

function sizeOf(pieces: readonly Uint8Array[]): number {
  let size = 0
  for (const { length } of pieces) size += length
  return size
}

const emptyReader: ChunkReader = { read: () => Promise.resolve(undefined) }

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} s`
}

class FetchedResponse implements EgressResponse {
  readonly status: number
  readonly headers: Headers
  readonly content: EgressBody
  #body: ReadableStream<Uint8Array> | undefined

  constructor({ status, headers }: Response, content: EgressBody) {
    this.status = status
    this.headers = headers
    this.content = content
  }

  get body(): ReadableStream<Uint8Array> {
    const { content } = this
    this.#body ??= new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const pieces = await content.read()
          if (!pieces) controller.close()
          else for (const piece of pieces) controller.enqueue(piece)
        },
        cancel: () => content.cancel(),
      },
      { highWaterMark: 0 },
    )
    return this.#body
  }
}
