import type { Call } from '../call.ts'
import { ApiError, invalidRequest } from '../errors.ts'
import { select, type Selection } from './byte-ranges.ts'
import { type ByteRange, fileStream } from './file-stream.ts'

interface ByteContentOptions {
  /** Bytes of the whole. */
  readonly size: number
  /** Media type. Default: `application/octet-stream`. */
  readonly type?: string | undefined
  /** Suggested to clients that save the content. It is always sent as `attachment`: a browser must not render an uploaded file as a page of this server. */
  readonly filename?: string | undefined
  /** Of exactly these bytes: other bytes, another tag. Without quotes. */
  readonly etag?: string | undefined
  /** Unix milliseconds. */
  readonly lastModified?: number | undefined
  /** Gives exactly these bytes. Throws where they are not there. Not called for HEAD, or where nothing is to be sent. */
  open(range: ByteRange): Promise<ReadableStream<Uint8Array>> | ReadableStream<Uint8Array>
}

/** Bytes as a handler's result: `mount` handles ranges, conditions and HEAD. */
export class ByteContent {
  readonly options: ByteContentOptions

  constructor(options: ByteContentOptions) {
    this.options = options
  }

  /** A file of this machine that does not change. */
  static ofFile(path: string, options: Omit<ByteContentOptions, 'open'>): ByteContent {
    return new ByteContent({ ...options, open: (range) => fileStream(path, range) })
  }
}

/** Up to so many bytes are sent as one piece with `content-length`; the runtime sends what is longer in chunks, as they are read. */
const maxBuffered = 262_144

/** The response to GET or HEAD. */
export async function byteResponse({ options }: ByteContent, request: Request, call: Call): Promise<Response> {
  const { size } = options
  const etag = options.etag === undefined ? undefined : quoted(options.etag)
  const selection = select(request.method, request.headers, { size, etag, lastModified: options.lastModified })
  if (selection.status === 412) throw conditionFailed()
  if (selection.status === 416) throw unsatisfiable(size)
  const headers = headersOf(options, etag)
  if (selection.status === 304) return new Response(null, { status: 304, headers })
  const range = selection.status === 206 ? selection.range : { start: 0, end: size - 1 }
  const length = range.end - range.start + 1
  headers.set('content-type', options.type ?? 'application/octet-stream')
  headers.set('content-length', String(length))
  if (selection.status === 206) headers.set('content-range', `bytes ${range.start}-${range.end}/${size}`)
  const { status }: Selection = selection
  if (request.method === 'HEAD' || length === 0) return new Response(null, { status, headers })
  const reader = (await options.open(range)).getReader()
  const source = new ExactBytes(reader, length, call)
  if (length <= maxBuffered) return new Response(await source.readAll(), { status, headers })
  return new Response(new ReadableStream(source, { highWaterMark: 0 }), { status, headers })
}

function headersOf({ filename, lastModified }: ByteContentOptions, etag: string | undefined): Headers {
  const headers = new Headers({ 'accept-ranges': 'bytes', 'x-content-type-options': 'nosniff' })
  headers.set('content-disposition', filename === undefined ? 'attachment' : contentDisposition(filename))
  if (etag !== undefined) headers.set('etag', etag)
  if (lastModified !== undefined) headers.set('last-modified', new Date(lastModified).toUTCString())
  return headers
}

/** RFC 6266 and RFC 8187: a plain name for clients that know no other, then the name itself. */
export function contentDisposition(filename: string): string {
  const whole = filename.toWellFormed()
  const plain = whole.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_')
  const value = `attachment; filename="${plain}"`
  return plain === whole ? value : `${value}; filename*=UTF-8''${extendedValue(whole)}`
}

/** RFC 8187 §3.2.1: what is not an attr-char is percent-encoded. */
function extendedValue(text: string): string {
  return encodeURIComponent(text).replaceAll(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

function quoted(etag: string): string {
  if (/^[\x21\x23-\x7e]*$/.test(etag)) return `"${etag}"`
  throw new Error(`an entity tag has characters that it cannot have: ${JSON.stringify(etag)}`)
}

/** Passes the bytes on as the caller reads them; fewer or more than were announced are an error, never a shorter response. */
class ExactBytes implements UnderlyingDefaultSource<Uint8Array> {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #length: number
  readonly #call: Call
  #sent = 0
  #isOver = false

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>, length: number, call: Call) {
    this.#reader = reader
    this.#length = length
    this.#call = call
  }

  async readAll(): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(this.#length)
    try {
      for (;;) {
        const { done, value } = await this.#next()
        if (done) return bytes
        bytes.set(value, this.#sent - value.length)
      }
    } catch (error) {
      await this.#reader.cancel(error).catch(() => undefined)
      throw error
    }
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { record, signal } = this.#call
    if (record) record.streaming = true
    const stop = (): void => {
      if (this.#isOver) return
      // A client disconnect is not a failure; an abort by the server is.
      this.#over(signal.reason instanceof ApiError ? signal.reason : undefined)
      controller.error(signal.reason)
      this.#reader.cancel(signal.reason).catch(() => undefined)
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      const { done, value } = await this.#next()
      if (this.#isOver) return
      if (!done) controller.enqueue(value)
      if (this.#sent < this.#length) return
      // Excess bytes are detected before the stream is closed.
      await this.#next()
      this.#over()
      controller.close()
    } catch (error) {
      this.#over(error)
      await this.#reader.cancel(error).catch(() => undefined)
      throw error
    }
  }

  async cancel(reason: unknown): Promise<void> {
    this.#over()
    await this.#reader.cancel(reason)
  }

  async #next() {
    const result = await this.#reader.read()
    this.#sent += result.value?.length ?? 0
    if (this.#sent > this.#length || (result.done && this.#sent < this.#length)) {
      throw new Error(`the source gave ${this.#sent} bytes, ${this.#length} were announced`)
    }
    return result
  }

  #over(failure?: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    const { record } = this.#call
    if (!record) return
    if (failure !== undefined) record.failure = failure
    record.complete?.()
  }
}

function conditionFailed(): ApiError {
  return invalidRequest('The condition in If-Match or If-Unmodified-Since does not hold: the content has changed. Get it again.', {
    status: 412,
    code: 'precondition_failed',
  })
}

function unsatisfiable(size: number): ApiError {
  return invalidRequest(`The requested range is outside the content, which has ${size} bytes.`, {
    status: 416,
    code: 'range_not_satisfiable',
    headers: { 'content-range': `bytes */${size}`, 'accept-ranges': 'bytes' },
  })
}
