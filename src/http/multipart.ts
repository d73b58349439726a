import { createWriteStream } from 'node:fs'
import { copyFile, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy'
import { ApiError, invalidRequest, shortened, unavailable } from '../errors.ts'
import { UploadedFile } from '../schemas/uploaded-file.ts'
import { type BodyReader, decodedBody, discardRemainder, rejectTooLarge, tooLarge, type UploadObserver } from './body.ts'
import { fileStream } from './file-stream.ts'
import { PartCounter } from './multipart-parts.ts'
import { addNamedValue, type NamedValues } from './query.ts'

/** What a route's form may hold. What is absent has the default. */
export interface MultipartLimits {
  /** Files; default 1. */
  readonly files?: number | undefined
  /** Bytes of each file; default: the largest body of the route. */
  readonly fileBytes?: number | undefined
  /** Other fields; default 64. */
  readonly fields?: number | undefined
  /** Bytes of each other field; default 64 KiB. */
  readonly fieldBytes?: number | undefined
}

export interface MultipartOptions {
  readonly limits: MultipartLimits
  /** Bytes of the whole body, decompressed. */
  readonly maxBytes: number
  readonly observer?: UploadObserver | undefined
  /** Where files are written meanwhile. Default: the system's folder for temporary files. */
  readonly folder?: string | undefined
}

/** A form that was read. Disposing of it deletes its files. */
export interface MultipartForm extends AsyncDisposable {
  /** Fields by name, as `parseQuery` spells lists and maps: texts and files. */
  readonly value: NamedValues<string | UploadedFile>
  /** Of the whole body. */
  readonly bytes: number
}

const defaults = { files: 1, fields: 64, fieldBytes: 65_536 } as const

/** Of one part's header, and of a field's name. */
const maxHeaderBytes = 16_384
const maxNameLength = 200

const folderPrefix = 'corral-upload-'

/**
 * Reads a `multipart/form-data` body, files straight to disk, so that memory does not grow with them. Throws ApiError 400, 413, 415, 503 where
 * the disk is full, and the error with which the observer gives up; nothing is left on disk then.
 */
export async function readMultipart(request: Request, options: MultipartOptions): Promise<MultipartForm> {
  const boundary = boundaryOf(request.headers)
  const length = request.headers.get('content-length')
  if (length !== null && Number(length) > options.maxBytes) await rejectTooLarge(request, options.maxBytes)
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), folderPrefix))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  const reading = new FormReading(boundary, folder, options)
  try {
    const bytes = await reading.read(request)
    return { value: reading.values(), bytes, [Symbol.asyncDispose]: remove }
  } catch (error) {
    await reading.closed()
    await remove()
    throw error
  } finally {
    options.observer?.uploadFinished()
  }
}

/** Milliseconds after which a folder belongs to a process that has died: no request takes so long. */
const abandonedAfter = 24 * 3600 * 1000

/** Deletes the files of requests whose processes were killed. Never rejects: what cannot be deleted now is tried again by the next process. */
export async function removeAbandonedUploads(folder: string = tmpdir()): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names.filter((one) => one.startsWith(folderPrefix))) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found && Date.now() - found.mtimeMs > abandonedAfter) await rm(path, { recursive: true, force: true }).catch(() => undefined)
  }
}

/** Throws ApiError 415, and 400 where the boundary is missing. */
function boundaryOf(headers: Headers): string {
  const header = headers.get('content-type') ?? ''
  if (!/^multipart\/form-data *(;|$)/i.test(header)) {
    throw invalidRequest(`The request body must be a form (content-type: multipart/form-data), not '${shortened(header, 100)}'.`, {
      status: 415,
      code: 'unsupported_media_type',
      headers: { accept: 'multipart/form-data' },
    })
  }
  // RFC 2046 §5.1.1: 1 to 70 of these characters, the last of which is not a space.
  const [, quoted, plain = ''] = /;\s*boundary=(?:"([^"]*)"|([^\s;"]*))/i.exec(header) ?? []
  const boundary = quoted ?? plain
  if (/^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary)) return boundary
  throw invalidRequest('The content-type names no valid boundary. Let the HTTP client set content-type when it makes the form.', {
    code: 'invalid_multipart',
    headers: { connection: 'close' },
  })
}

class TemporaryFile extends UploadedFile {
  readonly path: string
  readonly size: number
  readonly filename: string
  readonly type: string

  constructor({ path, size, filename, type }: Pick<UploadedFile, 'path' | 'size' | 'filename' | 'type'>) {
    super()
    this.path = path
    this.size = size
    this.filename = filename
    this.type = type
  }

  stream(): ReadableStream<Uint8Array> {
    return fileStream(this.path, { start: 0, end: this.size - 1 })
  }

  async moveTo(path: string): Promise<void> {
    try {
      await rename(this.path, path)
    } catch (error) {
      // Another disk.
      if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error
      await copyFile(this.path, path)
    }
  }
}

interface Part {
  readonly name: string
  value?: string | UploadedFile
}

/** One body on its way to disk. */
class FormReading {
  /** In the order of the parts; the value of a file is there once it has been written. */
  readonly #parts: Part[] = []
  readonly #streams: BusboyFileStream[] = []
  readonly #options: MultipartOptions
  readonly #limits: Required<{ [K in keyof MultipartLimits]: number }>
  readonly #folder: string
  readonly #parser: BusboyInstance
  readonly #counter: PartCounter
  readonly #writes: Promise<void>[] = []
  readonly #parsed = Promise.withResolvers<void>()
  #failure: Error | undefined
  /** Lets go of what waits for the parser to take more. */
  #drained: (() => void) | undefined

  constructor(boundary: string, folder: string, options: MultipartOptions) {
    const {
      files = defaults.files,
      fields = defaults.fields,
      fieldBytes = defaults.fieldBytes,
      fileBytes = options.maxBytes,
    } = options.limits
    const limits = { files, fields, fieldBytes, fileBytes }
    this.#options = options
    this.#limits = limits
    this.#folder = folder
    this.#counter = new PartCounter(boundary)
    this.#parser = new Busboy({
      headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` },
      // The parser counts a file or field of exactly its limit as within it.
      limits: { files, fields, fieldSize: fieldBytes, fileSize: fileBytes, headerPairs: 32, headerSize: maxHeaderBytes },
    })
    const parser = this.#parser
    parser.on('file', (name, stream, ...[filename, , type]) => this.#takeFile({ name, filename, type, stream }))
    parser.on('field', (name, text, _nameCut, isCut) => this.#takeField(name, text, isCut))
    parser.on('filesLimit', () => this.#fail(tooMany('files', files)))
    parser.on('fieldsLimit', () => this.#fail(tooMany('fields that are not files', fields)))
    parser.on('error', (error) => this.#fail(malformed(error)))
    parser.on('drain', () => this.#drained?.())
    parser.on('finish', () => this.#parsed.resolve())
  }

  /** Gives the bytes of the body. */
  async read(request: Request): Promise<number> {
    const reader = decodedBody(request)?.getReader()
    const { promise: givenUp, reject } = Promise.withResolvers<never>()
    this.#options.observer?.uploadStarted((reason) => {
      this.#fail(reason)
      reject(reason)
      // What waits for the caller's next bytes ends with this, or with the connection.
      reader?.cancel(reason).catch(() => undefined)
    })
    // Prevents an unhandled rejection when the race below is over.
    givenUp.catch(() => undefined)
    return await Promise.race([this.#readAll(reader), givenUp])
  }

  values(): NamedValues<string | UploadedFile> {
    const values = Object.create(null) as NamedValues<string | UploadedFile>
    for (const { name, value } of this.#parts) if (value !== undefined) addNamedValue(values, name, value)
    return values
  }

  /** Resolves once no file is written any more. */
  async closed(): Promise<void> {
    await Promise.allSettled(this.#writes)
  }

  async #readAll(reader: BodyReader | undefined): Promise<number> {
    let bytes = 0
    try {
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
        this.#throwFailure()
        if (done) break
        this.#options.observer?.uploadProgressed()
        bytes += value.length
        if (bytes > this.#options.maxBytes) throw tooLarge(this.#options.maxBytes)
        this.#counter.push(value)
        await this.#give(value)
      }
      this.#parser.end()
      await this.#parsed.promise
      await Promise.all(this.#writes)
      this.#throwFailure()
      if (this.#parts.length !== this.#counter.count) throw malformed(new Error('a part has no header that can be read'))
      return bytes
    } catch (thrown) {
      const error = this.#failure ?? asRefusal(thrown)
      this.#fail(error)
      if (reader && error instanceof ApiError && error.status < 500 && error.status !== 408) await discardRemainder(reader)
      throw error
    }
  }

  /** Waits until the parser and the disk have room for more. */
  async #give(piece: Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#drained = resolve
    if (this.#parser.write(Buffer.from(piece.buffer, piece.byteOffset, piece.length)) || this.#failure) resolve()
    await promise
    this.#throwFailure()
  }

  #takeField(name: string | undefined, text: string, isCut: boolean): void {
    if (this.#failure || !this.#acceptsName(name)) return
    const { fieldBytes } = this.#limits
    if (isCut) return this.#fail(tooLong(`The field '${name}'`, fieldBytes, { code: 'field_too_large', param: name }))
    try {
      this.#options.observer?.reserveBytes(text.length)
    } catch (error) {
      return this.#fail(error as Error)
    }
    this.#parts.push({ name, value: text })
  }

  #takeFile({ name, filename = '', type, stream }: { name?: string; filename?: string; type: string; stream: BusboyFileStream }): void {
    // The parser reports its errors itself; without a listener here they would end the process.
    stream.on('error', () => undefined)
    if (this.#failure || !this.#acceptsName(name)) return void stream.resume()
    const { fileBytes } = this.#limits
    stream.on('limit', () => this.#fail(tooLong(`The file '${name}'`, fileBytes, { code: 'file_too_large', param: name })))
    const path = join(this.#folder, String(this.#writes.length))
    const part: Part = { name }
    this.#parts.push(part)
    const write = async (): Promise<void> => {
      try {
        await pipeline(stream, createWriteStream(path, { mode: 0o600, flags: 'wx' }))
        part.value = new TemporaryFile({ path, size: stream.bytesRead, filename: printable(filename), type })
      } catch (error) {
        this.#fail(asRefusal(error))
      }
    }
    this.#writes.push(write())
    this.#streams.push(stream)
  }

  #acceptsName(name: string | undefined): name is string {
    if (name === undefined || name === '') this.#fail(malformed(new Error('a part has no name')))
    else if (name.length > maxNameLength)
      this.#fail(invalid(`The name of a field is longer than ${maxNameLength} characters.`, 'invalid_multipart'))
    else return true
    return false
  }

  /** The first failure counts. Files stop being written; the parser gets nothing more. */
  #fail(error: Error): void {
    if (this.#failure) return
    this.#failure = error
    for (const stream of this.#streams) stream.destroy(error)
    this.#drained?.()
    this.#parsed.resolve()
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure
  }
}

/** Control characters have no place in a name that is shown and sent back in headers. */
function printable(filename: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  return filename.replaceAll(/[\u0000-\u001f\u007f]/g, '\ufffd')
}

/** Without `connection: close` the server would take in the whole upload for nothing. */
function invalid(message: string, code: string, detail: { status?: number; param?: string; cause?: unknown } = {}): ApiError {
  return invalidRequest(message, { ...detail, code, headers: { connection: 'close' } })
}

function malformed(cause: unknown): ApiError {
  return invalid(
    'The form in the request body is not valid multipart/form-data: it is cut off, or a part is malformed. Send it as your HTTP client makes it.',
    'invalid_multipart',
    { cause },
  )
}

function tooMany(what: string, limit: number): ApiError {
  return invalid(`The form has more ${what} than are allowed: send at most ${limit}.`, 'too_many_parts')
}

function tooLong(what: string, limit: number, { code, param }: { code: string; param: string }): ApiError {
  return invalid(`${shortened(what)} is larger than the ${limit} bytes that are allowed.`, code, { status: 413, param })
}

/** What went wrong on the way from the connection to the disk. */
function asRefusal(error: unknown): Error {
  if (error instanceof ApiError) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return unavailable('There is no room left on this server for the uploaded file.', 60, { code: 'upload_storage_full', cause: error })
  }
  if (typeof code === 'string' && /^E(ACCES|PERM|ROFS|IO|NOENT|MFILE|NFILE|EXIST)$/.test(code)) return error as Error
  return invalid('The request body could not be read.', 'invalid_multipart', { cause: error })
}
