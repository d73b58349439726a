import { LlamaJsonSchemaGrammar, type GbnfJsonSchema, type LlamaContextSequence, type LlamaGrammar } from 'node-llama-cpp'
import { type ChatCompletionRequest, chatCompletionRequest, invalidRequest } from '../../../child-contract.ts'
import { planChat, type ChatPlan } from './chat-plan.ts'
import { MessageFold, newId, toChoice, toChunk, toCompletion, toDelta, usageOf, type ReplyHead, type TokenCounts } from './chat-reply.ts'
import { generateChat, promptOf, type ChatJob, type GenerationResult, type Piece } from './generate.ts'
import type { LoadedModel, ModelHost } from './host.ts'
import { parseBody } from './parse-body.ts'
import { toSampling } from './sampling.ts'
import { streamOrJson, type ResponseWriter } from './stream-or-json.ts'

/** Fields that the embedded model does not read may have any form. */
const readRequest = chatCompletionRequest.omit({
  logprobs: true,
  metadata: true,
  prediction: true,
  prompt_cache_key: true,
  prompt_cache_retention: true,
  safety_identifier: true,
  service_tier: true,
  store: true,
  top_logprobs: true,
  user: true,
  verbosity: true,
})

/** `POST /v1/chat/completions`. */
export async function chatCompletions(request: Request, host: ModelHost): Promise<Response> {
  const body = await parseBody(request, readRequest)
  const plan = planChat(body)
  return streamOrJson(body.stream === true, request.signal, (writer) =>
    host.with(body.model, async (model) => {
      const head: ReplyHead = { id: newId('chatcmpl-'), created: Math.floor(Date.now() / 1000), model: body.model }
      const jobs = toJobs({ body, plan, model, signal: writer.signal })
      const { prompt } = jobs[0]!
      using lease = await model.slot(writer.signal, (sequence) => sequence.compareContextTokens([...prompt]).firstDifferentIndex)
      const counts: TokenCounts = { prompt: prompt.length, completion: 0 }
      await (writer.frames
        ? stream({ head, jobs, counts, body, plan }, lease.slot, writer)
        : whole({ head, jobs, counts, body, plan }, lease.slot, writer))
    }),
  )
}

interface ChatRun {
  head: ReplyHead
  jobs: readonly ChatJob[]
  counts: TokenCounts
  body: ChatCompletionRequest
  plan: ChatPlan
}

async function stream({ head, jobs, counts, body, plan }: ChatRun, slot: LlamaContextSequence, writer: ResponseWriter): Promise<void> {
  const frames = writer.frames!
  const withUsage = (body.stream_options as { include_usage?: boolean } | null | undefined)?.include_usage === true
  const push = (choice: object): void => frames.push(toChunk(head, [choice], withUsage ? null : undefined))
  for (const [index, job] of jobs.entries()) {
    push(toChoice(index, { role: 'assistant', content: '' }))
    writer.begin()
    const { finish, outputTokens } = await run(job, { plan, slot }, (piece) => push(toChoice(index, toDelta(piece))))
    counts.completion += outputTokens
    push(toChoice(index, {}, finish))
  }
  if (withUsage) frames.push(toChunk(head, [], usageOf(counts)))
  frames.done()
}

async function whole({ head, jobs, counts, plan }: ChatRun, slot: LlamaContextSequence, writer: ResponseWriter): Promise<void> {
  const choices: object[] = []
  for (const [index, job] of jobs.entries()) {
    const message = new MessageFold()
    const { finish, outputTokens } = await run(job, { plan, slot }, (piece) => message.add(toDelta(piece)))
    counts.completion += outputTokens
    choices.push(message.toChoice(index, finish))
  }
  writer.json(toCompletion(head, choices, usageOf(counts)))
}

/** A call that was forced comes as JSON text and leaves as a call. */
async function run(
  job: ChatJob,
  { plan, slot }: { plan: ChatPlan; slot: LlamaContextSequence },
  emit: (piece: Piece) => void,
): Promise<GenerationResult> {
  if (!plan.forcedCall) return generateChat(job, slot, emit)
  let text = ''
  const outcome = await generateChat(job, slot, (piece) => {
    if (piece.kind === 'text') text += piece.text
  })
  if (outcome.finish === 'length') {
    // Half a call is of no use to anyone, but the caller must learn why there is none.
    emit({ kind: 'text', text })
    return outcome
  }
  const { name, arguments: given } = JSON.parse(text) as { name: string; arguments: unknown }
  emit({ kind: 'call', index: 0, name })
  emit({ kind: 'arguments', index: 0, text: JSON.stringify(given) })
  return { ...outcome, finish: 'tool_calls' }
}

interface JobParts {
  body: ChatCompletionRequest
  plan: ChatPlan
  model: LoadedModel
  signal: AbortSignal
}

/** One job a choice. */
function toJobs({ body, plan, model, signal }: JobParts): ChatJob[] {
  const { history, functions, parallelCalls, maxTokens, stop, maxThinkingTokens } = plan
  const wrapper = model.wrapper(plan.thinking)
  const prompt = promptOf({ history, wrapper, functions }, model)
  const grammar = plan.shape && toGrammar(plan.shape, model, plan.forcedCall ? 'tools' : 'response_format')
  // The library creates these during generation, when it is too late to refuse.
  for (const { params } of Object.values(functions ?? {})) if (params) toGrammar(params, model, 'tools')
  return Array.from({ length: plan.choices }, (_, choice) => ({
    history,
    prompt,
    wrapper,
    sampling: toSampling(body, { model: model.model, advice: model.advice, choice }),
    maxTokens,
    stop,
    maxThinkingTokens: maxThinkingTokens,
    functions,
    parallelCalls,
    grammar,
    signal,
  }))
}

/** A schema that llama.cpp's grammars cannot hold is the caller's to change. */
function toGrammar(shape: GbnfJsonSchema, { llama }: LoadedModel, param: string): LlamaGrammar {
  try {
    // The library's type follows literal schemas.
    return new LlamaJsonSchemaGrammar(llama, shape as never)
  } catch (error) {
    throw invalidRequest(`The schema cannot be converted into a grammar: ${error instanceof Error ? error.message : String(error)}`, {
      param,
      cause: error,
    })
  }
}
