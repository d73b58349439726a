import { setTimeout as sleep } from 'node:timers/promises'
import { catalogueModel, defaultModel, fallbackModel, type CatalogueModel } from './catalogue.ts'
import { sizeOf } from './store/download.ts'
import { isLocked } from './store/lock.ts'
import { modelFiles } from './store/paths.ts'
import { PullError } from './store/pull-error.ts'
import { pull } from './store/pull.ts'
import type { Sources } from './store/sources.ts'
import { listLocalModels } from './store/store.ts'
import type { Log } from '../../contract.ts'

/** What the default model waits for. */
type DefaultModelState =
  | { state: 'ready'; name: string }
  /** It is not being downloaded. */
  | { state: 'absent' }
  | { state: 'fetching'; name: string; done: number; total: number | undefined }
  /** It is tried again in `retryIn` seconds. */
  | { state: 'failed'; message: string; retryIn: number }

interface DefaultModelOptions {
  folder: string
  sources: Sources
  log: Log
  /** Catalogue names, best first. Default: the default model, then the one for networks without a hub. */
  candidates?: readonly string[]
  /** Where names are looked up. Default: the catalogue. */
  findModel?: (name: string) => CatalogueModel | undefined
  /** Milliseconds between two looks at what another process fetches. Default 1,000. */
  pollInterval?: number
  /** Milliseconds before the first new try after a failure; doubled up to ten minutes. Default 15,000. */
  retryAfter?: number
}

const maxRetryDelay = 600_000

/** The default model: finds it in the store, or downloads it. */
export class DefaultModel implements AsyncDisposable {
  readonly #options: DefaultModelOptions
  readonly #stop = new AbortController()
  #fetching: Promise<void> | undefined
  #progress: { name: string; done: number; total: number | undefined } | undefined
  #failure: { message: string; at: number } | undefined

  constructor(options: DefaultModelOptions) {
    this.#options = options
  }

  get candidates(): readonly string[] {
    return this.#options.candidates ?? [defaultModel, fallbackModel]
  }

  /** The best available: a candidate, else any language model. */
  async name(): Promise<string | undefined> {
    const models = (await listLocalModels(this.#options.folder)).filter(({ type }) => type === 'llm')
    const names = models.map(({ name }) => name)
    return this.candidates.find((name) => names.includes(name)) ?? names[0]
  }

  async state(): Promise<DefaultModelState> {
    const name = await this.name()
    if (name !== undefined) return { state: 'ready', name }
    return this.pending() ?? { state: 'absent' }
  }

  /** The same without a look at the disk: undefined where nothing is under way. */
  pending(): Extract<DefaultModelState, { state: 'fetching' | 'failed' }> | undefined {
    if (this.#progress) return { state: 'fetching', ...this.#progress }
    if (this.#failure) {
      return {
        state: 'failed',
        message: this.#failure.message,
        retryIn: Math.max(1, Math.ceil((this.#failure.at - performance.now()) / 1000)),
      }
    }
    return undefined
  }

  /** Fetches it in the background, again and again until it is there. Resolves when it is, or when all is stopped; never rejects. */
  start(): Promise<void> {
    this.#fetching ??= this.#fetch()
    return this.#fetching
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#fetching
  }

  async #fetch(): Promise<void> {
    const { log, retryAfter = 15_000 } = this.#options
    for (let failures = 0; !this.#stop.signal.aborted; failures++) {
      try {
        if ((await this.name()) === undefined) await this.#fetchOnce()
        this.#progress = undefined
        this.#failure = undefined
        return
      } catch (error) {
        this.#progress = undefined
        if (this.#stop.signal.aborted) return
        const wait = Math.min(retryAfter * 2 ** failures, maxRetryDelay)
        const message = error instanceof Error ? error.message : String(error)
        const remedy = error instanceof PullError && error.remedy !== undefined ? ` ${error.remedy}` : ''
        this.#failure = { message: message + remedy, at: performance.now() + wait }
        log.warn({ part: 'embedded model', retry_in: wait / 1000 }, `The embedded model could not be downloaded: ${message}${remedy}`)
        // Stopping wakes it.
        await sleep(wait, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      }
    }
  }

  async #fetchOnce(): Promise<void> {
    const { folder, sources, log, findModel = catalogueModel } = this.#options
    let last: unknown
    for (const name of this.candidates) {
      const model = findModel(name)
      if (!model)
        throw new PullError(`'${name}' is not in the catalogue.`, {
          remedy: 'Set `model` to a name of the catalogue, or put the file there.',
        })
      this.#progress = { name, done: 0, total: model.size }
      log.info({ part: 'embedded model', model: name, licence: model.licence, bytes: model.size }, `Downloading ${name} in the background`)
      try {
        await pull(
          { kind: 'catalogue', model },
          {
            folder,
            sources,
            signal: this.#stop.signal,
            onProgress: (done, total) => {
              this.#progress = { name, done, total }
            },
            onNote: (note) => log.info({ part: 'embedded model' }, note),
          },
        )
        log.info({ part: 'embedded model', model: name }, `${name} is downloaded`)
        return
      } catch (error) {
        if (!(error instanceof PullError)) throw error
        if (error.reason === 'busy') return await this.#waitForOther(name, model.size)
        if (error.reason !== 'unreachable') throw error
        last = error
        log.warn({ part: 'embedded model', model: name }, error.message)
      }
    }
    throw last
  }

  /** Another process, a second worker perhaps, fetches it: waits until it has, or has given up. */
  async #waitForOther(name: string, total: number): Promise<void> {
    const { folder, pollInterval = 1000 } = this.#options
    const files = modelFiles(folder, name)
    while (await isLocked(files.lock)) {
      this.#progress = { name, done: await sizeOf(files.part), total }
      await sleep(pollInterval, undefined, { signal: this.#stop.signal })
    }
    if ((await this.name()) === undefined) throw new PullError('Another process failed to download it.')
  }
}
