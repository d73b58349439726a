import { createHash } from 'node:crypto'
import { withTimeout } from '../timing.ts'

interface RedisOptions {
  readonly host: string
  readonly port: number
  readonly user?: string | undefined
  readonly password?: string | undefined
  /** Encrypts, and checks the server's certificate by the system's authorities and its host name. */
  readonly tls?: boolean | undefined
  /** Milliseconds for connecting, and for a reply. Default: 1000. */
  readonly timeout?: number
}

/** A script in Lua, which Redis runs as one step. */
interface RedisScript {
  readonly source: string
  readonly sha1: string
}

export function redisScript(source: string): RedisScript {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

/** Redis is unreachable, does not reply in time, or returned an error. */
export class RedisFailure extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'RedisFailure'
  }
}

/** One connection, made when it is first needed and again after it was lost; all calls share it. */
interface RedisConnection extends Disposable {
  /** Runs a script on one key. What was asked may have been done although this rejects. Throws RedisFailure. */
  evaluate(script: RedisScript, key: string, args: readonly (string | number)[]): Promise<unknown>
}

const defaultTimeout = 1000

/** Connects with the first call. */
export function openRedis(options: RedisOptions): RedisConnection {
  const { timeout = defaultTimeout } = options
  const place = `${options.host}:${options.port}`
  let connection: Promise<Bun.RedisClient> | undefined
  let isClosed = false
  const tooSlow = () => new Error(`no response within ${timeout} ms`)

  const connect = async (): Promise<Bun.RedisClient> => {
    // Its own reconnecting waits and gives up by its own rules: a client that is lost is replaced here.
    const settings = { connectionTimeout: timeout, autoReconnect: false, maxRetries: 0, enableOfflineQueue: false }
    const client = new Bun.RedisClient(urlOf(options), settings)
    try {
      await withTimeout(timeout, client.connect(), tooSlow)
      return client
    } catch (error) {
      client.close()
      const why = 'it does not run there, or it takes neither the user, the password nor TLS as configured'
      throw new RedisFailure(`Redis at ${place} cannot be connected to: ${why}`, error)
    }
  }
  const connected = async (): Promise<Bun.RedisClient> => {
    const known = connection
    const client = await known?.catch(() => undefined)
    if (client?.connected) return client
    // Only the first that finds it lost makes a new one.
    if (connection === known) connection = connect()
    return await (connection ?? connect())
  }

  const send = async (command: string, args: string[]): Promise<unknown> => {
    if (isClosed) throw new RedisFailure(`the connection to Redis at ${place} has been closed`)
    const client = await connected()
    try {
      return await withTimeout(timeout, client.send(command, args), tooSlow)
    } catch (error) {
      if (isReply(error)) throw error
      // Other commands on this connection would not get a reply either.
      client.close()
      throw new RedisFailure(`Redis at ${place} does not respond`, error)
    }
  }

  return {
    async evaluate({ source, sha1 }, key, args) {
      const rest = ['1', key, ...args.map(String)]
      try {
        return await send('EVALSHA', [sha1, ...rest])
      } catch (error) {
        if (isReply(error) && error.message.startsWith('NOSCRIPT')) return await send('EVAL', [source, ...rest])
        throw isReply(error) ? new RedisFailure(`Redis at ${place} returned an error`, error) : error
      }
    },
    [Symbol.dispose]() {
      isClosed = true
      connection?.then(
        (client) => client.close(),
        () => undefined,
      )
    },
  }
}

function urlOf({ host, port, user, password, tls }: RedisOptions): string {
  const credentials = password === undefined ? '' : `${encodeURIComponent(user ?? '')}:${encodeURIComponent(password)}@`
  return `${tls ? 'rediss' : 'redis'}://${credentials}${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** An error reply of Redis. */
function isReply(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_REDIS_SERVER_ERROR'
}
