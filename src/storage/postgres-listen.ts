import type { Client, ClientConfig } from 'pg'
import type { Hint, Watch } from './engine.ts'
import { revisionChannel } from './revisions.ts'

/** Milliseconds between two looks for changes, which no notification can take the place of: a connection that is half open tells nothing. */
const lookAgain = 400

/** Milliseconds between two looks whether the connection that listens still answers, and that it may take to. */
const checkAgain = 5000

/** Milliseconds before the connection that listens is made anew. */
const listenAgain = 1000

export interface ListenOptions {
  /** Undefined until the database has been reached for the first time. */
  config(): ClientConfig | undefined
  readonly hint: Hint
  /** Milliseconds between two looks. Default 400. */
  readonly interval?: number | undefined
}

/**
 * LISTEN on a connection of its own, made anew whenever it is lost. It only makes looking faster: poolers take LISTEN and deliver nothing, and
 * a connection may be dead long before that is noticed.
 */
export function listen(options: ListenOptions): Watch {
  const listener = new Listener(options)
  listener.start()
  return {
    interval: options.interval ?? lookAgain,
    mayHaveChanged: () => Promise.resolve(true),
    [Symbol.dispose]: () => listener.dispose(),
  }
}

class Listener {
  readonly #options: ListenOptions
  #client: Client | undefined
  #again: ReturnType<typeof setTimeout> | undefined
  #check: ReturnType<typeof setInterval> | undefined
  #disposed = false

  constructor(options: ListenOptions) {
    this.#options = options
  }

  start(): void {
    this.#connect().catch(() => this.#later())
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
    const client = new pg.Client({ ...config, query_timeout: checkAgain })
    client.on('error', () => this.#lost(client))
    client.on('end', () => this.#lost(client))
    client.on('notification', ({ payload }) => this.#options.hint(payload))
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
    if (this.#disposed) return this.#lost(client)
    this.#check = setInterval(() => void client.query('select 1').catch(() => this.#lost(client)), checkAgain)
    this.#check.unref()
    // Changes that came while nobody listened.
    this.#options.hint()
  }

  #lost(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    clearInterval(this.#check)
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
