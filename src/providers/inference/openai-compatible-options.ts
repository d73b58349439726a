import type { Call } from '../../call.ts'
import type { CallerUrl, NetworkOptions } from '../../egress/egress.ts'
import type { Addition } from './additions.ts'
import type { FieldChanges, ReplyHooks } from './reply-hooks.ts'
import type { StartTimer } from '../../timing.ts'
import type { OperationName } from '../../operations/index.ts'
import type { FallbackModelFields, ProviderModel, ModelRequest } from '../provider.ts'

/**
 * How one OpenAI-compatible upstream differs from the next. Shared code never branches on a vendor: a difference is an option here.
 */
export interface OpenAICompatibleOptions extends ReplyHooks {
  /**
   * The root that `/chat/completions` is appended to, without a slash at its end; a function where the caller names it, and then never a text: see CallerUrl.
   * Throws ApiError 400 when there is none.
   */
  baseUrl: string | ((call: Call) => CallerUrl)
  /** The headers that carry the credential for one call. Throws ApiError 400 when neither the configuration nor the caller gave one. */
  authorize(call: Call): Record<string, string> | Promise<Record<string, string>>
  hasOwnKey: boolean
  acceptsKeyOf?(call: Call): boolean
  /** What the upstream can do. */
  capabilities: readonly Exclude<OperationName, 'rerank'>[]
  /** Fields by which this upstream takes another model than `model`, beside those that are looked at for every upstream. */
  fallbackModels?: Partial<FallbackModelFields>
  /** Paths that differ from OpenAI's, relative to the root. */
  paths?: Partial<Record<'chat' | 'completions' | 'embeddings' | 'models' | 'health', string>>
  /** Query parameters that every request carries; a function where they depend on the caller's data. */
  query?: Readonly<Record<string, string>> | ((call: Call) => Readonly<Record<string, string>> | undefined)
  /** Extra headers on every request, the operator's own included. */
  headers?: Readonly<Record<string, string>> | ((call: Call) => Record<string, string>)
  /** Whether the upstream knows `stream_options`, by which usage is requested in streams. Default true; false leaves out a caller's as well. */
  streamUsage?: boolean
  /**
   * Whether the upstream may call tools although `tool_choice` is "none": then `tools` and `tool_choice` are left out of such a request, unless its
   * messages hold tool calls. Default false: both are sent as they are.
   */
  excludeToolsWhenNone?: boolean
  /** Fields that Corral adds to requests of this provider, beside those that it adds for every one; left out where the upstream refuses them. */
  additions?: readonly Addition[]
  /** What proves that a stream is whole: `[DONE]` (default), or a finish reason for every choice where the upstream sends no `[DONE]`. */
  terminal?: 'done' | 'finish_reason'
  /** Top-level request fields that must differ for this upstream: value to set, or undefined to remove. Gets the validated request. */
  editRequest?(
    request: ModelRequest<Record<string, unknown>>,
    operation: OperationName,
    call: Call,
  ): FieldChanges | undefined | Promise<FieldChanges | undefined>
  /** Models that are known without asking, added to the listing or in place of it. */
  staticModels?: readonly ProviderModel[]
  /** Turns the upstream's listing into models; absent: OpenAI's `{data: [{id}]}`, typed by `typeOf`. False: the upstream lists none. */
  parseModels?: false | ((body: unknown) => ProviderModel[])
  /** The type of a listed model; default by name ("embed", "rerank"), else llm. */
  typeOf?(id: string): { type: ProviderModel['type']; metadata?: Record<string, unknown> } | undefined
  network?: NetworkOptions
  /** For tests: in place of `setTimeout`. */
  startTimer?: StartTimer
}
