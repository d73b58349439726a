import type { z } from 'zod'
import type { Call } from '../call.ts'
import type { Egress } from '../egress/egress.ts'
import type { ProviderPricing } from '../quota/prices.ts'
import type { Operation } from '../operations/operation.ts'
import type { JsonReply, Ranking, Reply } from '../operations/reply.ts'
import type { WireFormat } from '../operations/wire-format.ts'
import type { RelayedChatRequest } from '../schemas/chat.ts'
import type { RelayedCompletionRequest } from '../schemas/completions.ts'
import type { RelayedEmbeddingsRequest } from '../schemas/embeddings.ts'
import type { ModelType } from '../schemas/models.ts'
import type { RerankRequest } from '../schemas/rerank.ts'
import type { Log } from '../telemetry/logger.ts'
import type { Members } from '../wire/json-scan.ts'

export type { JsonReply, Ranking, Reply, StreamFacts, StreamReply, Usage } from '../operations/reply.ts'

/** A model as a provider lists it. */
export interface ProviderModel {
  /** The provider's own id. */
  id: string
  type: ModelType
  /** True where `type` is `llm` by default: requests for embeddings and reranking are sent to the provider as well. */
  typeIsGuess?: boolean | undefined
  /** `embedding_dimension`, `context_length` and whatever else is known. */
  metadata: Readonly<Record<string, unknown>>
  /** Unix seconds, where the provider says. */
  created?: number | undefined
  owned_by?: string | undefined
}

/** A request on its way to a provider. */
export interface ModelRequest<Body> {
  /** The upstream's id of the model. */
  readonly model: string
  /** The id that the caller used; the reply carries this one. */
  readonly requestedModel: string
  /** The catalogue's id of it, which limits and the ledger go by. Absent: the provider's id, a slash and `model`. */
  readonly catalogueId?: string | undefined
  readonly operation: Operation
  /** Of `body` and `bytes`. */
  readonly format: WireFormat
  /** The request as validated: for decisions, not for sending. */
  readonly body: Body
  /** The caller's own JSON bytes, numbers and unknown keys as they came: edit and send these. */
  readonly bytes: Uint8Array
  /** Where the top-level members of `bytes` are, found when the request was read. Absent: they are looked for. */
  readonly members?: Members | undefined
  /** The models that it names beside `model`, each checked: set by the catalogue. */
  readonly fallbacks?: readonly FallbackModel[] | undefined
  /** Absent where the request is not traced. */
  trace?: UpstreamTrace | undefined
}

/** A model of the same provider that may respond in place of the requested one. */
export interface FallbackModel {
  /** The field of the request that names it. */
  readonly field: string
  /** The catalogue's id. */
  readonly model: string
  readonly upstreamModel: string
}

/** Top-level fields of a request by which the upstream may take another model than `model`. */
export interface FallbackModelFields {
  /** An id of the provider's, or a list of them: the caller must be permitted each. */
  readonly named: readonly string[]
  /** Fields that do not say which model: always refused. */
  readonly uncheckable: readonly string[]
  /** Fields whose content decides whether the provider may take another model: what `findModelChoice` reads. */
  readonly inspected?: readonly string[] | undefined
  /** The inspected field by which this request lets the provider take another model; such a request is refused. */
  readonly findModelChoice?: ((body: Readonly<Record<string, unknown>>) => string | undefined) | undefined
}

/** What a trace knows of one request to a provider. */
export interface UpstreamTrace {
  /** 16 hexadecimal digits: the parent span for the operator's upstreams. */
  readonly spanId: string
  /** Where the request went, filled by the provider; absent where the caller said where. */
  endpoint?: { readonly address: string; readonly port: number } | undefined
  /** Fields that the provider refused and that Corral had added: the request was sent again without them. Filled by the provider. */
  resentWithout?: readonly string[] | undefined
}

/** Sends one request to a provider. */
type Invoke<Body, Result = Reply> = (request: ModelRequest<Body>, call: Call) => Promise<Result>

/** An `Invoke` of any operation: its body and its result are known where the operation is. */
export type AnyInvoke = Invoke<never, unknown>

/** What a provider does, by the name of the operation. An absent member is an unsupported operation. */
interface InvokeRecord {
  readonly chat?: Invoke<RelayedChatRequest>
  readonly completions?: Invoke<RelayedCompletionRequest>
  readonly embeddings?: Invoke<RelayedEmbeddingsRequest, JsonReply>
  readonly rerank?: Invoke<RerankRequest, Ranking>
  readonly [operation: string]: AnyInvoke | undefined
}

/** The same operations, each wrapped, so that none can be forgotten. `wrap` returns a function of the type that it gets. */
export function mapInvoke(record: InvokeRecord, wrap: (invoke: AnyInvoke, operation: string) => AnyInvoke): InvokeRecord {
  return Object.fromEntries(Object.entries(record).map(([operation, invoke]) => [operation, invoke && wrap(invoke, operation)]))
}

/** What a provider of any API has. */
export interface Provider {
  /** Whether a key is configured or none is needed: a provider without waits for callers to bring one. */
  readonly hasOwnKey: boolean
  /** True when `call` carries credentials of its own for this provider. */
  acceptsKeyOf?(call: Call): boolean
  /** Resolves when the provider responds, throws an error that says why it does not. */
  checkHealth?(call: Call): Promise<void>
  /** What it waits for before it can serve, in words (`downloading qwen3-0.6b: 42 %`); undefined when nothing. `/readyz` shows it. */
  pendingReason?(): string | undefined
  [Symbol.asyncDispose]?(): Promise<void>
}

/** A provider of the API `inference`. */
export interface InferenceProvider extends Provider {
  readonly invoke: InvokeRecord
  /** By operation, the names of formats in which it takes requests, beside the operation's own. Its reply has the format of the request. */
  readonly formats?: Readonly<Record<string, readonly string[]>> | undefined
  /** The models this provider offers, requested with `call`'s credentials or the configured key. */
  listModels?(call: Call): Promise<ProviderModel[]>
  /** Absent: no field of a request but `model` decides which model replies. */
  readonly fallbackModels?: FallbackModelFields | undefined
}

export interface ProviderDeps {
  /** The provider's id in the configuration; messages and logs name it. */
  readonly id: string
  readonly egress: Egress
  readonly log: Log
  /** True where no other provider of its API is configured. */
  readonly isOnlyProvider?: boolean
}

/** What a definition of any API has. A definition adds `create`, which makes a provider of its API. */
export interface CommonDefinition<A extends string, Config> {
  readonly api: A
  /** Llama Stack's name, e.g. `remote::groq`. */
  readonly type: string
  /** One line for `corral list providers` and the reference page. */
  readonly description: string
  /** The schema of `config:`. Strict: an unknown key is reported by the configuration loader. */
  readonly config: z.ZodType<Config>
  /** What a caller may send in the provider-data header for this provider. Loose: keys of other providers are there as well. */
  readonly credentials?: z.ZodType
  /** How the `starter` distribution and `corral build` fill `config` from the environment; absent: only when named. */
  readonly starter?: StarterEntry
  /**
   * Starts what must exist once, however many processes serve (`server.workers`): called by their supervisor, which serves nothing itself.
   * Must not wait until the part is useful. Absent: there is no such part.
   */
  startShared?(config: Config, deps: Pick<ProviderDeps, 'id' | 'log'>): Promise<SharedPart>
}

export interface InferenceDefinition<Config = unknown> extends CommonDefinition<'inference', Config> {
  /**
   * Top-level request fields by which the provider chooses a model, beside those of the operations. They decide what is authorized and charged, so each
   * must be in a request once and exactly spelt.
   */
  readonly governedFields?: readonly string[]
  /** `gen_ai.provider.name` in traces and metrics. Default: the type without its prefix. */
  readonly genAiName?: string
  /** How its responses are priced. Absent: only the configuration's prices are known (`server.quota.prices`). */
  readonly pricing?: ProviderPricing
  create(config: Config, deps: ProviderDeps): InferenceProvider
}

/**
 * The definitions that are served, by API: a new API is one line here and the interface of its definition. The types of all other APIs are known by name
 * only (`planned.ts`).
 */
export interface DefinitionsByApi<Config = unknown> {
  readonly inference: InferenceDefinition<Config>
}

export type ServedApi = keyof DefinitionsByApi

export type ProviderDefinition<Config = unknown> = DefinitionsByApi<Config>[ServedApi]

/** The provider that the definitions of an API create. */
export type ProviderOf<A extends ServedApi> = ReturnType<DefinitionsByApi[A]['create']>

/** A part of a provider that all workers use. */
interface SharedPart extends AsyncDisposable {
  /** JSON that goes over the parsed `config` in every worker, so that it finds the part: `{ socket: '/…' }`. */
  readonly overrides: Readonly<Record<string, unknown>>
}

/** A known type that Corral does not serve yet: a file that names it loads, with a warning that says so. */
export interface PlannedProvider {
  readonly api: string
  readonly type: string
  readonly planned: string
}

export interface StarterEntry {
  /** Default `provider_id`. */
  readonly id: string
  /** The variables of which one, set, turns the provider on. */
  readonly enabledBy: readonly string[]
  /** `config:` as it is written into a file, environment references and all. */
  readonly config: Readonly<Record<string, unknown>>
  /** The default address of a local server of this kind; probed at start when `enabledBy` is unset. */
  readonly probe?: string
}

/** Checks a definition by the contract of its API. */
export function defineProvider<Config, A extends ServedApi>(
  definition: { readonly api: A; readonly config: z.ZodType<Config> } & DefinitionsByApi<Config>[A],
): DefinitionsByApi<Config>[A] {
  return definition
}

/** `gen_ai.provider.name` of a definition's providers. */
export function genAiNameOf(definition: ProviderDefinition): string {
  return (definition.api === 'inference' ? definition.genAiName : undefined) ?? definition.type.replace(/^[a-z]+::/, '')
}
