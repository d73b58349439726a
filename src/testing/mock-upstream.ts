import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { HttpReader, type RawRequest } from './http-reader.ts'
import { errorReply } from './replies.ts'
import { headOf, type Pause, type Script } from './script.ts'

/** A request that the mock got. */
export interface MockRequest extends RawRequest {
  /** Counts connections from 0: two requests with the same one shared a connection. */
  readonly connection: number
  /** The body as text. */
  readonly text: string
  /** The body as JSON; undefined when it is none. */
  readonly json: Record<string, unknown> | undefined
  /** True once the client disconnected before the response was complete. */
  aborted: boolean
  /** Settles when the response is complete or the client has disconnected. */
  readonly finished: Promise<void>
}

export interface MockOptions {
  /** Speaks TLS. */
  tls?: TlsOptions
  /** Waits this many milliseconds between reading one piece of a request and the next. */
  readPause?: number
  port?: number
}

/** A real server on loopback with scripted responses, byte for byte. */
export interface MockUpstream extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly url: string
  readonly port: number
  /** Every request so far, whole ones only. */
  readonly requests: readonly MockRequest[]
  /** Sockets open now. */
  readonly open: number
  /** Sockets accepted so far. */
  readonly accepted: number
  /** Requests in flight. */
  readonly active: number
  /** Responses to the next requests, in order; they take precedence over `respond`. */
  enqueue(...scripts: Script[]): void
  /** Responds when the queue is empty. Without it, or if it returns undefined: 404. */
  respond(script: (request: MockRequest) => Script | undefined): void
  /** Resolves once `count` requests have come. */
  received(count: number): Promise<MockRequest>
  /** Resolves once no request is in flight and, with `closed`, no socket is open. */
  quiet(options?: { closed?: boolean }): Promise<void>
  /** Resets every connection and takes no new ones: from now on the port refuses. */
  refuse(): Promise<void>
}

class Upstream implements MockUpstream {
  readonly requests: MockRequest[] = []
  readonly #sockets = new Set<Socket>()
  readonly #queue: Script[] = []
  readonly #server: Server
  readonly #options: MockOptions
  readonly #watchers = new Set<() => void>()
  #respondWith: (request: MockRequest) => Script | undefined = () => undefined
  #listening = true
  port = 0
  accepted = 0
  active = 0

  constructor(options: MockOptions) {
    this.#options = options
    const accept = (socket: Socket): void => this.#accept(socket)
    this.#server = options.tls ? createTlsServer(options.tls, accept) : createServer({ allowHalfOpen: false }, accept)
  }

  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject).listen(this.#options.port ?? 0, '127.0.0.1', resolve)
    await promise
    this.port = (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `${this.#options.tls ? 'https' : 'http'}://127.0.0.1:${this.port}`
  }

  get open(): number {
    return this.#sockets.size
  }

  enqueue(...scripts: Script[]): void {
    this.#queue.push(...scripts)
  }

  respond(respondWith: (request: MockRequest) => Script | undefined): void {
    this.#respondWith = respondWith
  }

  async received(count: number): Promise<MockRequest> {
    await this.#until(() => this.requests.length >= count)
    return this.requests[count - 1] as MockRequest
  }

  quiet(options: { closed?: boolean } = {}): Promise<void> {
    return this.#until(() => this.active === 0 && (!options.closed || this.open === 0))
  }

  async refuse(): Promise<void> {
    if (!this.#listening) return
    this.#listening = false
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    for (const socket of this.#sockets) socket.resetAndDestroy()
    await promise
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.refuse()
  }

  #until(holds: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const watcher = (): void => {
      if (!holds()) return
      this.#watchers.delete(watcher)
      resolve()
    }
    this.#watchers.add(watcher)
    watcher()
    return promise
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #accept(socket: Socket): void {
    const connection = this.accepted
    this.accepted += 1
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    // Each request on a kept connection waits for its end with listeners of its own.
    socket.setMaxListeners(0)
    const reader = new HttpReader()
    // One request at a time on a connection, as HTTP/1.1 clients do it.
    let turn = Promise.resolve()
    socket.on('data', (piece: Uint8Array) => {
      reader.push(piece)
      for (let raw = reader.next(); raw; raw = reader.next()) {
        const request = raw
        turn = turn.then(() => this.#serve(socket, request, connection))
      }
      if (this.#options.readPause === undefined) return
      socket.pause()
      setTimeout(() => socket.resume(), this.#options.readPause)
    })
    // Many tests have a client that disconnects mid-write; 'close' reports it.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#changed()
    })
    this.#changed()
  }

  async #serve(socket: Socket, raw: RawRequest, connection: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const text = new TextDecoder().decode(raw.bytes)
    const request: MockRequest = { ...raw, connection, text, json: parse(text), aborted: false, finished: promise }
    this.requests.push(request)
    this.active += 1
    this.#changed()
    const script = this.#queue.shift() ?? this.#respondWith(request) ?? errorReply(404)
    const leaves = onClose(socket)
    const whole = play(socket, script, leaves)
    request.aborted = (await Promise.race([whole, leaves.then(() => 'left' as const)])) === 'left'
    this.active -= 1
    resolve()
    this.#changed()
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

function onClose(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (socket.destroyed) resolve()
  else socket.once('close', () => resolve())
  return promise
}

async function pause(what: Pause, leaves: Promise<void>): Promise<void> {
  if ('until' in what) await Promise.race([what.until, leaves])
  else if ('wait' in what) await Promise.race([new Promise((resolve) => setTimeout(resolve, what.wait)), leaves])
  else await leaves
}

/** Settles when the bytes were handed to the network, or the client is gone. */
async function write(socket: Socket, bytes: string | Uint8Array, leaves: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (socket.destroyed) return
  socket.write(bytes, () => resolve())
  await Promise.race([promise, leaves])
}

/** `whole` when the script was played to its end, however rough; `left` when the client went first. */
async function play(socket: Socket, script: Script, leaves: Promise<void>): Promise<'whole' | 'left'> {
  if (script.before) await pause(script.before, leaves)
  const pieces = Array.isArray(script.body) ? (script.body as (string | Uint8Array | Pause)[]) : undefined
  if (script.raw !== undefined) await write(socket, script.raw, leaves)
  else if (pieces) await playPieces(socket, script, pieces)
  else {
    const body = (script.body as string | Uint8Array | undefined) ?? ''
    await write(socket, Buffer.concat([Buffer.from(headOf(script), 'latin1'), Buffer.from(body as string)]), leaves)
  }
  if (socket.destroyed) return 'left'
  return end(socket, script, leaves)
}

async function playPieces(socket: Socket, script: Script, pieces: readonly (string | Uint8Array | Pause)[]): Promise<void> {
  const leaves = onClose(socket)
  await write(socket, headOf(script), leaves)
  for (const piece of pieces) {
    if (socket.destroyed) return
    if (typeof piece !== 'string' && !(piece instanceof Uint8Array)) {
      await pause(piece, leaves)
      continue
    }
    const bytes = Buffer.from(piece as string)
    if (bytes.length === 0) continue
    await write(socket, Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]), leaves)
    // Lets the client see this piece by itself.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function end(socket: Socket, script: Script, leaves: Promise<void>): Promise<'whole' | 'left'> {
  const how = script.end ?? 'whole'
  if (how === 'stall') {
    await leaves
    return 'left'
  }
  if (how === 'reset') socket.resetAndDestroy()
  else if (how === 'cut') socket.destroySoon()
  else if (Array.isArray(script.body)) await write(socket, '0\r\n\r\n', leaves)
  return 'whole'
}

/** Starts a mock upstream on a free port of loopback. */
export async function mockUpstream(options: MockOptions = {}): Promise<MockUpstream> {
  const upstream = new Upstream(options)
  await upstream.listen()
  return upstream
}

/** The URL of a port of loopback at which nothing listens. */
export async function refusingUrl(): Promise<string> {
  const upstream = await mockUpstream()
  const { url } = upstream
  await upstream.refuse()
  return url
}
