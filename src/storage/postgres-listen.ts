import type { Client, ClientConfig } from 'pg'
import type { ChangeHint, ChangeWatch } from './engine.ts'
import { revisionChannel } from './revisions.ts'

/** Milliseconds between two polls for changes, which notifications cannot replace: a half-open connection delivers none. */
const defaultPollInterval = 400

/** Interval and timeout of the health check of the listening connection, in milliseconds. */
const healthCheckInterval = 5000

/** Milliseconds before the listening connection is re-established. */
const reconnectDelay = 1000

interface RevisionListenOptions {
  /** Undefined until the database has been reached for the first time. */
  config(): ClientConfig | undefined
  readonly hint: ChangeHint
  /** Milliseconds between two looks. Default 400. */
  readonly interval?: number | undefined
}

/**
 * LISTEN on its own connection, re-established whenever it is lost. It only makes polling faster: poolers accept LISTEN and deliver nothing, and
 * a connection may be dead long before that is noticed.
 */
export function listenForRevisions(options: RevisionListenOptions): ChangeWatch {
  const listener = new RevisionListener(options)
  listener.start()
  return {
    interval: options.interval ?? defaultPollInterval,
    mayHaveChanged: () => Promise.resolve(true),
    [Symbol.dispose]: () => listener.dispose(),
  }
}

class RevisionListener {
  readonly #options: RevisionListenOptions
  #client: Client | undefined
  #reconnectTimer: ReturnType<typeof setTimeout> | undefined
  #healthCheckTimer: ReturnType<typeof setInterval> | undefined
  #disposed = false

  constructor(options: RevisionListenOptions) {
    this.#options = options
  }

  start(): void {
    this.#connect().catch(() => this.#scheduleReconnect())
  }

  dispose(): void {
    this.#disposed = true
    clearTimeout(this.#reconnectTimer)
    if (this.#client) this.#onDisconnect(this.#client)
  }

  async #connect(): Promise<void> {
    const config = this.#options.config()
    if (this.#disposed) return
    if (!config) throw new Error('the database has not been reached yet')
    const pg = await import('pg')
    const client = new pg.Client({ ...config, query_timeout: healthCheckInterval })
    client.on('error', () => this.#onDisconnect(client))
    client.on('end', () => this.#onDisconnect(client))
    client.on('notification', ({ payload }) => this.#options.hint(payload))
    try {
      await client.connect()
      // Listening alone does not keep the process alive.
      ;(client as Client & { unref(): void }).unref()
      await client.query(`listen ${revisionChannel}`)
    } catch (error) {
      client.end().catch(() => undefined)
      throw error
    }
    this.#client = client
    if (this.#disposed) return this.#onDisconnect(client)
    this.#healthCheckTimer = setInterval(() => void client.query('select 1').catch(() => this.#onDisconnect(client)), healthCheckInterval)
    this.#healthCheckTimer.unref()
    // Changes while there was no listener.
    this.#options.hint()
  }

  #onDisconnect(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    clearInterval(this.#healthCheckTimer)
    client.end().catch(() => undefined)
    this.#scheduleReconnect()
  }

  #scheduleReconnect(): void {
    if (this.#disposed || this.#reconnectTimer) return
    this.#reconnectTimer = setTimeout(() => {
      this.#reconnectTimer = undefined
      this.start()
    }, reconnectDelay)
    this.#reconnectTimer.unref()
  }
}
