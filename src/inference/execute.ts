import type { AttemptFacts, Call } from '../call.ts'
import { ApiError, invalidRequest } from '../errors.ts'
import type { Operation } from '../operations/operation.ts'
import type { WireFormat } from '../operations/wire-format.ts'
import type { FallbackModel, Usage } from '../providers/provider.ts'
import type { AdmittedInference, Governance, TokensUsed } from '../quota/governance.ts'
import type { ModelCatalog, Target } from '../registry/catalog.ts'
import type { Events } from '../telemetry/events.ts'
import type { Members } from '../wire/json-scan.ts'
import { Attempt, type AttemptContext, type AttemptEnd } from './attempt.ts'

/** What execution needs of the server. */
export interface InferenceDeps {
  readonly models: Pick<ModelCatalog, 'resolve'>
  /** Absent: nothing is limited or recorded. */
  readonly governance?: Pick<Governance, 'admitInference'> | undefined
  readonly events: Pick<Events, 'inferenceFinished'>
}

/** A request for one operation, as the caller sent it. */
interface InferenceRequest<Body> {
  /** The model as the caller named it. */
  readonly model: string
  /** As validated, in the operation's own form. */
  readonly body: Body
  /** The caller's own JSON. */
  readonly bytes: Uint8Array
  /** Where the members of the outermost object are in `bytes`. */
  readonly members?: Members | undefined
  /** Of `body` and `bytes`. Default: the operation's own. */
  readonly format?: WireFormat | undefined
}

/**
 * Runs an operation: plan (targets, after the access check) → admit (quota reservation) → attempt → settle → report. Admission comes second because
 * limits and prices depend on the model. Resolves with the provider's reply, whose stream continues the execution until its end. Rejects with ApiError;
 * nothing was sent and nothing is reported where that happens before the attempt.
 */
export async function execute<Body, Result>(
  operation: Operation<Body, Result>,
  request: InferenceRequest<Body>,
  call: Call,
  deps: InferenceDeps,
): Promise<Result> {
  const { models } = deps
  const resolved = models.resolve(request.model, operation, call)
  const [target] = resolved instanceof Promise ? await resolved : resolved
  operation.validate?.(request.body)
  const execution = new Execution(operation, request, call, deps)
  execution.plan(target)
  const pending = execution.admit(target)
  if (pending instanceof Promise) execution.admitted = await execution.unlessAborted(pending)
  else execution.admitted = pending
  return (await new Attempt(target, execution).send()) as Result
}

/** The state of one execution. */
class Execution implements AttemptContext {
  readonly operation: Operation
  readonly format: WireFormat
  readonly requestedModel: string
  readonly body: unknown
  readonly bytes: Uint8Array
  readonly members: Members | undefined
  readonly call: Call
  readonly #deps: InferenceDeps
  fallbacks: readonly FallbackModel[] | undefined = undefined
  /** Undefined: nothing is limited or recorded. */
  admitted: AdmittedInference | undefined = undefined

  constructor(operation: Operation, request: InferenceRequest<unknown>, call: Call, deps: InferenceDeps) {
    this.operation = operation
    this.format = request.format ?? operation.format
    this.requestedModel = request.model
    this.body = request.body
    this.bytes = request.bytes
    this.members = request.members
    this.call = call
    this.#deps = deps
  }

  get estimatesTokens(): boolean {
    return this.admitted !== undefined
  }

  /** Throws ApiError where the target cannot serve this request, or the caller may not use every model that it names. */
  plan(target: Target): void {
    const { format, operation } = this
    if (format !== operation.format && !target.formats?.includes(format.name)) throw formatNotSupported(target, format)
    this.fallbacks = target.checkFallbacks?.(this.body, this.call)
    const { record } = this.call
    if (!record) return
    record.model = this.requestedModel
    record.attempt = newAttempt(target)
  }

  admit(target: Target): AdmittedInference | undefined | Promise<AdmittedInference | undefined> {
    const { governance } = this.#deps
    if (!governance) return undefined
    const { operation, format, requestedModel, fallbacks, body, bytes, call } = this
    const facts = {
      call,
      provider: target.providerId,
      model: target.catalogueId,
      upstreamModel: target.model,
      requestedModel,
      fallbacks,
      operation,
      format,
      body,
      bytes: bytes.length,
    }
    return governance.admitInference(facts, call.record?.responseHeaders)
  }

  /** A caller that disconnected while it waited for admission has used nothing. */
  async unlessAborted(pending: Promise<AdmittedInference | undefined>): Promise<AdmittedInference | undefined> {
    const admitted = await pending
    if (this.call.signal.aborted) admitted?.settle({ outcome: 'failed', usage: undefined })
    this.call.signal.throwIfAborted()
    return admitted
  }

  ended(attempt: Attempt, end: AttemptEnd): void {
    const { outcome, usage, received, error } = end
    const { firstTokenAt } = attempt
    const facts = this.call.record?.attempt
    if (facts) {
      facts.inputTokens = usage?.input
      facts.outputTokens = usage?.output
      facts.firstTokenAt = firstTokenAt
      if (error instanceof ApiError) facts.failure = error.failure
    }
    // Settling adds the cost to these facts, which the event's readers read.
    this.admitted?.settle({ outcome, usage: usage && toTokensUsed(usage), received })
    this.#deps.events.inferenceFinished(attempt.event(end))
  }
}

/** With all of its members, so that these objects have one shape. */
function newAttempt({ providerId, model }: Target): AttemptFacts {
  return {
    provider: providerId,
    model,
    inputTokens: undefined,
    outputTokens: undefined,
    costNanoDollars: undefined,
    firstTokenAt: undefined,
    failure: undefined,
  }
}

function toTokensUsed(usage: Usage): TokensUsed {
  const { input, output, cached, cacheWrite, inputAudio, reasoning, outputAudio, dollars, estimated } = usage
  return { input, output, cachedInput: cached, cacheWrite, inputAudio, reasoning, outputAudio, reportedDollars: dollars, estimated }
}

function formatNotSupported({ providerId }: Target, format: WireFormat) {
  return invalidRequest(`Provider '${providerId}' does not accept requests in the format ${format.name}. Use another model.`, {
    code: 'format_not_supported',
    param: 'model',
  })
}
