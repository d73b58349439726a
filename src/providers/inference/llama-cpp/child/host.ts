import { existsSync } from 'node:fs'
import {
  getLlama,
  LlamaLogLevel,
  resolveChatWrapper,
  type ChatWrapper,
  type Llama,
  type LlamaContext,
  type LlamaContextSequence,
  type LlamaEmbeddingContext,
  type LlamaModel,
} from 'node-llama-cpp'
import { notFound, unavailable } from '../../../child-contract.ts'
import { modelFile } from '../store/paths.ts'
import type { SamplingAdvice } from './sampling.ts'
import { TranscriptWrapper } from './transcript-wrapper.ts'
import { SlotPool, type SlotLease, type SlotCounts } from './slots.ts'

export interface HostOptions {
  /** The folder that holds `NAME.gguf`. */
  modelsDir: string
  /** Requests that one model serves at once. */
  slots: number
  /** Tokens a slot holds. */
  contextSize: number
  /** Requests that may wait for a slot. */
  queue: number
  /** 0: as many as there are cores, less one. */
  threads: number
  /** The maximum number of models in memory; the least recently used is unloaded. */
  maxLoaded: number
  /** What the makers of a model advise, by its name. */
  advice: Readonly<Record<string, SamplingAdvice>>
}

/** A model in memory. */
export interface LoadedModel {
  readonly name: string
  readonly llama: Llama
  readonly model: LlamaModel
  readonly advice: SamplingAdvice
  /** Tokens that each slot holds. */
  readonly contextSize: number
  /** The chat template; `thinking` only matters to models that support it. */
  wrapper(thinking: boolean): ChatWrapper
  slot(signal: AbortSignal, prefer?: (sequence: LlamaContextSequence) => number): Promise<SlotLease<LlamaContextSequence>>
  embedder(): Promise<LlamaEmbeddingContext>
  readonly counts: SlotCounts
}

interface HostedModel {
  readonly loading: Promise<Loaded>
  loaded: Loaded | undefined
  users: number
  lastUse: number
}

/** Loads models on demand and keeps as many as allowed. */
export class ModelHost {
  readonly #options: HostOptions
  readonly #entries = new Map<string, HostedModel>()
  #llama: Promise<Llama> | undefined

  constructor(options: HostOptions) {
    this.#options = options
  }

  /** What is in memory, by name. */
  get counts(): Record<string, SlotCounts> {
    return Object.fromEntries([...this.#entries].flatMap(([name, { loaded }]) => (loaded ? [[name, loaded.counts]] : [])))
  }

  /** Runs `work` with the model in memory. Throws ApiError 404 where there is no such file, 503 where it cannot be loaded or no other can make way. */
  async with<Result>(name: string, work: (model: LoadedModel) => Promise<Result>): Promise<Result> {
    const entry = await this.#entry(name)
    entry.users++
    try {
      return await work(await entry.loading)
    } finally {
      entry.users--
      entry.lastUse = performance.now()
    }
  }

  async #entry(name: string): Promise<HostedModel> {
    const known = this.#entries.get(name)
    if (known) return known
    const path = modelFile(this.#options.modelsDir, name)
    if (path === undefined || !existsSync(path)) throw notFound('Model', name, { code: 'model_not_found', param: 'model' })
    await this.#makeWay()
    const again = this.#entries.get(name)
    if (again) return again
    const loading = this.#load(name, path)
    const entry: HostedModel = { loading, loaded: undefined, users: 0, lastUse: performance.now() }
    this.#entries.set(name, entry)
    loading.then(
      (loaded) => void (entry.loaded = loaded),
      // The waiting requests get the error; the next request tries again.
      () => this.#entries.delete(name),
    )
    return entry
  }

  async #makeWay(): Promise<void> {
    while (this.#entries.size >= this.#options.maxLoaded) {
      const idle = [...this.#entries].filter(([, { users }]) => users === 0).toSorted(([, a], [, b]) => a.lastUse - b.lastUse)[0]
      if (!idle) throw unavailable('All loaded embedded models are busy; no other can be loaded now.', 5)
      const [name, entry] = idle
      this.#entries.delete(name)
      await (await entry.loading).model.dispose()
    }
  }

  async #load(name: string, path: string): Promise<Loaded> {
    this.#llama ??= startLlama(this.#options.threads)
    const llama = await this.#llama
    let model: LlamaModel | undefined
    try {
      model = await llama.loadModel({ modelPath: path })
      const contextSize = Math.min(this.#options.contextSize, model.trainContextSize ?? this.#options.contextSize)
      const context = await model.createContext({ sequences: this.#options.slots, contextSize, threads: llama.maxThreads })
      return new Loaded({ name, llama, model, context, queue: this.#options.queue, advice: this.#options.advice[name] ?? {} })
    } catch (error) {
      await model?.dispose()
      throw unavailable(`The embedded model '${name}' could not be loaded: ${error instanceof Error ? error.message : String(error)}`, 30, {
        cause: error,
      })
    }
  }
}

// More threads than cores make llama.cpp a hundred times slower, as its threads wait for one another by spinning: one core stays for the server.
function startLlama(threads: number): Promise<Llama> {
  const cores = navigator.hardwareConcurrency
  return getLlama({
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.error,
    maxThreads: threads > 0 ? threads : Math.max(1, Math.min(cores - 1, 16)),
  })
}

interface LoadedParts {
  name: string
  llama: Llama
  model: LlamaModel
  context: LlamaContext
  queue: number
  advice: SamplingAdvice
}

class Loaded implements LoadedModel {
  readonly name: string
  readonly llama: Llama
  readonly model: LlamaModel
  readonly advice: SamplingAdvice
  readonly contextSize: number
  readonly #pool: SlotPool<LlamaContextSequence>
  readonly #wrappers = new Map<boolean, ChatWrapper>()
  #embedder: Promise<LlamaEmbeddingContext> | undefined

  constructor({ name, llama, model, context, queue, advice }: LoadedParts) {
    this.name = name
    this.llama = llama
    this.model = model
    this.advice = advice
    this.contextSize = context.contextSize
    this.#pool = new SlotPool(
      Array.from({ length: context.totalSequences }, () => context.getSequence()),
      queue,
    )
  }

  get counts(): SlotCounts {
    return this.#pool.counts
  }

  wrapper(thinking: boolean): ChatWrapper {
    const known = this.#wrappers.get(thinking)
    if (known) return known
    const hasTemplate = Boolean(this.model.fileInfo.metadata.tokenizer.chat_template)
    const wrapper = hasTemplate
      ? resolveChatWrapper(this.model, {
          warningLogs: false,
          customWrapperSettings: { qwen: { thoughts: thinking ? 'auto' : 'discourage' } },
        })
      : new TranscriptWrapper()
    this.#wrappers.set(thinking, wrapper)
    return wrapper
  }

  slot(signal: AbortSignal, prefer?: (sequence: LlamaContextSequence) => number): Promise<SlotLease<LlamaContextSequence>> {
    return this.#pool.acquire(signal, prefer)
  }

  embedder(): Promise<LlamaEmbeddingContext> {
    this.#embedder ??= this.model.createEmbeddingContext({ threads: this.llama.maxThreads, contextSize: this.contextSize })
    return this.#embedder
  }
}
