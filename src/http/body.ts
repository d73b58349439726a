import { ApiError, invalidRequest, shortened } from '../errors.ts'
import { type Outline, outlineOf } from '../wire/json-outline.ts'
import { rejectLargeFields, type SmallField } from './large-fields.ts'
import { within } from '../timing.ts'

/** Maximum size of a request body in bytes, unless a route or the server sets another. */
export const defaultMaxBodyBytes = 32 * 1024 * 1024

/** Maximum number of object members in a JSON body, unless the server sets another. */
export const defaultMaxMembers = 100_000

/** Maximum nesting of a JSON body. */
const maxJsonDepth = 256

export interface BodyLimits {
  /** Of the decompressed body. */
  readonly bytes: number
  /** Members of all its objects together. */
  readonly members: number
  /** Top-level fields that may have 64 kB each. */
  readonly smallFields?: readonly SmallField[]
}

interface JsonBody {
  value: unknown
  /** The text that `value` was read from: decompressed, without a byte order mark. */
  bytes: Uint8Array
  /** Of `bytes`. */
  outline: Outline
}

/** Observes the upload of a body, so that a caller that stops sending is not awaited. */
export interface UploadObserver {
  /** `abandon` ends the wait with an error. */
  uploadStarted(abandon: (reason: Error) => void): void
  /** A part of it has arrived. */
  uploadProgressed(): void
  uploadFinished(): void
  /** So many more bytes of the body are held in memory until the request is over. Throws ApiError 503 when all requests hold too many. */
  reserveBytes(bytes: number): void
}

/** Reads a JSON body. Throws ApiError 400, 413, 415, and the error with which the observer abandons the upload. */
export async function readJsonBody(request: Request, limits: BodyLimits, observer?: UploadObserver): Promise<JsonBody> {
  checkContentType(request.headers)
  try {
    const bytes = withoutByteOrderMark(await (observer ? readObserved(request, limits.bytes, observer) : readBytes(request, limits.bytes)))
    return parseJson(bytes, limits)
  } finally {
    observer?.uploadFinished()
  }
}

/** When the upload is abandoned, the rest of the reading ends with the connection. */
function readObserved(request: Request, limit: number, observer: UploadObserver): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    observer.uploadStarted(reject)
    readBytes(request, limit, observer).then(resolve, reject)
  })
}

/**
 * Any JSON type will do: what matters is that a page of another site cannot send it unasked. So none at all will do for programs, which
 * some of them send, but not for browsers, which let any page send bytes without a type.
 */
function checkContentType(headers: Headers): void {
  const header = headers.get('content-type')
  if (header === 'application/json') return
  if (header === null) {
    if (headers.has('origin') || headers.has('sec-fetch-site')) throw unsupportedMediaType('a body without content-type')
    return
  }
  const [type = '', ...parameters] = header.toLowerCase().split(';')
  const charset = parameters.map((parameter) => parameter.trim().match(/^charset="?([^"]*)"?$/)?.[1]).find((name) => name !== undefined)
  const isJson = /^\s*(application\/([\w.-]+\+)?json|text\/json)\s*$/.test(type)
  if (isJson && (charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii')) return
  throw unsupportedMediaType(`'${shortened(header, 100)}'`)
}

function unsupportedMediaType(given: string): ApiError {
  return invalidRequest(`The request body must be JSON in UTF-8 (content-type: application/json), not ${given}.`, {
    status: 415,
    code: 'unsupported_media_type',
    headers: { accept: 'application/json' },
  })
}

/** Bytes up to which a body is awaited as a whole, which is cheaper: it then has to be there within the time in which any byte has to come. */
const maxWholeRead = 262_144

/**
 * Refuses a body by what its headers say, before any of it is read: an encoding that is not known (throws 415), a length above the limit
 * (rejects with 413). Undefined where there is nothing against it.
 */
export function rejectUnreadable(request: Request, limit: number): Promise<never> | undefined {
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding !== 'identity') decoderOf(encoding)
  const length = request.headers.get('content-length')
  return length !== null && Number(length) > limit ? rejectTooLarge(request, limit) : undefined
}

export async function rejectTooLarge(request: Request, limit: number): Promise<never> {
  if (request.body) await discardRemainder(request.body.getReader())
  throw tooLarge(limit)
}

async function readBytes(request: Request, limit: number, observer?: UploadObserver): Promise<Uint8Array> {
  const encoding = request.headers.get('content-encoding')
  const length = request.headers.get('content-length')
  if (length !== null && Number(length) > limit) await rejectTooLarge(request, limit)
  try {
    if (encoding !== null && encoding !== 'identity')
      return await readUpTo(limit, decompressed(request.body, encoding), { discard: (reader) => reader.cancel(), observer })
    // The server holds the caller to the length it announced.
    if (length !== null && (!observer || Number(length) <= maxWholeRead)) {
      observer?.reserveBytes(Number(length))
      return Buffer.from(await request.arrayBuffer())
    }
    return await readUpTo(limit, request.body, { discard: discardRemainder, observer })
  } catch (error) {
    if (error instanceof ApiError) throw error
    const remedy = encoding === null ? '' : ` Its content-encoding is '${shortened(encoding, 40)}'.`
    throw invalidRequest(`The request body could not be read.${remedy}`, { cause: error })
  }
}

const decoders: Readonly<Record<string, CompressionFormat | 'zstd'>> = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate', zstd: 'zstd' }

function decoderOf(encoding: string): CompressionFormat {
  const name = encoding.trim().toLowerCase()
  if (!Object.hasOwn(decoders, name)) {
    throw invalidRequest(`Content-Encoding '${shortened(encoding, 40)}' is not supported.`, {
      status: 415,
      code: 'unsupported_content_encoding',
      headers: { 'accept-encoding': 'gzip, deflate, zstd' },
    })
  }
  return decoders[name] as CompressionFormat
}

/** The body's bytes as they were before they were compressed. Throws ApiError 415. */
export function decodedBody({ headers, body }: Request): ReadableStream<Uint8Array> | null {
  const encoding = headers.get('content-encoding')
  return encoding === null || encoding === 'identity' ? body : decompressed(body, encoding)
}

function decompressed(body: ReadableStream<Uint8Array> | null, encoding: string): ReadableStream<Uint8Array> | null {
  const decoder = new DecompressionStream(decoderOf(encoding)) as ReadableWritablePair<Uint8Array, Uint8Array>
  return body && body.pipeThrough(decoder)
}

export type BodyReader = ReadableStreamDefaultReader<Uint8Array>

interface ReadOptions {
  /** Gets the reader of a body that is too large. */
  discard: (reader: BodyReader) => Promise<void>
  observer: UploadObserver | undefined
}

async function readUpTo(limit: number, body: ReadableStream<Uint8Array> | null, { discard, observer }: ReadOptions): Promise<Uint8Array> {
  if (!body) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    observer?.uploadProgressed()
    size += value.length
    chunks.push(value)
    try {
      if (size > limit) throw tooLarge(limit)
      observer?.reserveBytes(value.length)
    } catch (error) {
      chunks.length = 0
      await discard(reader)
      throw error
    }
  }
  const [only] = chunks
  if (chunks.length === 1 && only) return Buffer.from(only.buffer, only.byteOffset, only.length)
  const whole = Buffer.allocUnsafe(size)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

/** How much more of a body that is refused is taken in and thrown away, in bytes and milliseconds. */
const discardLimits = { bytes: 128 * 1024 * 1024, time: 5_000 }

/**
 * Most clients send everything before they read, and see a broken pipe instead of the 413 when the connection is closed on them:
 * so the rest is taken in for a while and dropped.
 */
export async function discardRemainder(reader: BodyReader): Promise<void> {
  try {
    await within(discardLimits.time, readAndDrop(reader), undefined)
  } catch {
    // The caller stopped sending: there is nothing left to wait for.
  }
}

async function readAndDrop(reader: BodyReader): Promise<void> {
  let size = 0
  while (size < discardLimits.bytes) {
    const { done, value } = await reader.read()
    if (done) return
    size += value.length
  }
}

/** Without `connection: close` the server would take in the whole upload for nothing. */
export function tooLarge(limit: number): ApiError {
  return invalidRequest(`The request body exceeds the limit of ${limit} bytes.`, {
    status: 413,
    code: 'request_too_large',
    headers: { connection: 'close' },
  })
}

function withoutByteOrderMark(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parseJson(bytes: Uint8Array, { members: maxMembers, smallFields = [] }: BodyLimits): JsonBody {
  if (bytes.length === 0) throw invalidRequest('The request body is empty; it must be a JSON object.', { code: 'empty_body' })
  const outline = outlineOf(bytes, { depth: maxJsonDepth, members: maxMembers })
  if (outline.exceeded === 'depth') {
    throw invalidRequest(`The request body is nested more than ${maxJsonDepth} levels deep.`, { code: 'nesting_too_deep' })
  }
  if (outline.exceeded === 'members') {
    throw invalidRequest(`The objects in the request body have more than ${maxMembers} members (server.max_json_members).`, {
      code: 'too_many_members',
    })
  }
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch (error) {
    throw invalidRequest('The request body is not valid UTF-8.', { code: 'invalid_utf8', cause: error })
  }
  let value: unknown
  try {
    rejectLargeFields(bytes, outline.top, smallFields)
    value = JSON.parse(text)
  } catch (error) {
    if (error instanceof ApiError) throw error
    throw invalidRequest('The request body is not valid JSON.', { code: 'invalid_json', cause: error })
  }
  return { value, bytes, outline }
}
