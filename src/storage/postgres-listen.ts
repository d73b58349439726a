import type { Client, ClientConfig } from 'pg'
import type { Hint, Watch } from './engine.ts'
import { revisionChannel } from './revisions.ts'

/** Milliseconds between two looks for changes that no notification told of, which is also how a lost server is noticed. */
const intervals = {
  listening: 5000,
  /** While notifications do not arrive, for whatever reason. */
  deaf: 600,
}

/** Milliseconds before the connection that listens is made anew. */
const listenAgain = 1000

/** Milliseconds that it may take to answer. */
const longestSilence = 5000

export interface ListenOptions {
  /** Undefined until the database has been reached for the first time. */
  config(): ClientConfig | undefined
  /** Sends a notification through another connection. */
  notify(payload: string): Promise<unknown>
  readonly hint: Hint
  /** Milliseconds between two looks while notifications arrive. Default 5000. */
  readonly interval?: number | undefined
}

/**
 * LISTEN on a connection of its own, made anew whenever it is lost. Some poolers take LISTEN and deliver nothing: only once a notification of our
 * own has come through are others counted on.
 */
export function listen(options: ListenOptions): Watch {
  const listener = new Listener(options)
  listener.start()
  return {
    get interval() {
      return listener.isHearing ? (options.interval ?? intervals.listening) : intervals.deaf
    },
    async mayHaveChanged() {
      await listener.check()
      return true
    },
    [Symbol.dispose]: () => listener.dispose(),
  }
}

class Listener {
  isHearing = false
  readonly #options: ListenOptions
  /** What a notification of our own says. */
  readonly #sign = `hear ${crypto.randomUUID()}`
  #client: Client | undefined
  #again: ReturnType<typeof setTimeout> | undefined
  #disposed = false

  constructor(options: ListenOptions) {
    this.#options = options
  }

  start(): void {
    this.#connect().catch(() => this.#later())
  }

  /** Whether the connection still answers; asks for a sign where none has come yet. */
  async check(): Promise<void> {
    const client = this.#client
    if (!client) return
    try {
      await client.query('select 1')
      if (!this.isHearing) await this.#options.notify(this.#sign)
    } catch {
      this.#lost(client)
    }
  }

  dispose(): void {
    this.#disposed = true
    clearTimeout(this.#again)
    if (this.#client) this.#lost(this.#client)
  }

  async #connect(): Promise<void> {
    const config = this.#options.config()
    if (this.#disposed) return
    if (!config) throw new Error('the database has not been reached yet')
    const pg = await import('pg')
    const client = new pg.Client({ ...config, query_timeout: longestSilence })
    client.on('error', () => this.#lost(client))
    client.on('end', () => this.#lost(client))
    client.on('notification', ({ payload }) => this.#heard(payload))
    try {
      await client.connect()
      // Whoever only listens is no reason for a process to stay.
      ;(client as Client & { unref(): void }).unref()
      await client.query(`listen ${revisionChannel}`)
    } catch (error) {
      client.end().catch(() => undefined)
      throw error
    }
    this.#client = client
    if (this.#disposed) this.#lost(client)
    // Changes that came while nobody listened; and a first sign.
    else this.#options.hint()
  }

  #heard(payload: string | undefined): void {
    if (payload === this.#sign) this.isHearing = true
    else if (!payload?.startsWith('hear ')) this.#options.hint(payload)
  }

  #lost(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    this.isHearing = false
    client.end().catch(() => undefined)
    this.#later()
  }

  #later(): void {
    if (this.#disposed || this.#again) return
    this.#again = setTimeout(() => {
      this.#again = undefined
      this.start()
    }, listenAgain)
    this.#again.unref()
  }
}
