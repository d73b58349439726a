import { LlamaCompletion, type LlamaContextSequence, type Token } from 'node-llama-cpp'
import { type CompletionRequest, completionRequest, invalidRequest } from '../../../child-contract.ts'
import { unsupported } from './error-body.ts'
import { newId, usageOf, type ReplyHead, type TokenCounts } from './chat-reply.ts'
import { checkFits, maxOutputTokens, readPrompt, type ContextSize } from './generate.ts'
import type { LoadedModel, ModelHost } from './host.ts'
import { parseBody } from './parse-body.ts'
import { toSampling } from './sampling.ts'
import { streamOrJson, type ResponseWriter } from './stream-or-json.ts'
import { toTokenLists } from './token-input.ts'

/** OpenAI's own default for plain completions. */
const defaultMaxTokens = 16
const maxChoices = 64

/** `POST /v1/completions`: continues text unchanged, without a chat template. */
export async function completions(request: Request, host: ModelHost): Promise<Response> {
  const body = await parseBody(request, completionRequest)
  refuseUnsupported(body)
  return streamOrJson(body.stream === true, request.signal, (writer) =>
    host.with(body.model, async (model) => {
      const prompts = toTokenLists(body.prompt ?? '', 'prompt', model).map((tokens) => withBeginning(tokens, model))
      for (const prompt of prompts) checkFits(prompt.length, model, 'prompt')
      const perPrompt = body.n ?? 1
      if (prompts.length * perPrompt > maxChoices)
        throw invalidRequest(`At most ${maxChoices} completions can be requested at once.`, { param: 'n' })
      using lease = await model.slot(writer.signal, (sequence) => sequence.compareContextTokens([...prompts[0]!]).firstDifferentIndex)
      const head: ReplyHead = { id: newId('cmpl-'), created: Math.floor(Date.now() / 1000), model: body.model }
      const counts: TokenCounts = { prompt: prompts.reduce((sum, { length }) => sum + length, 0), completion: 0 }
      const write = writer.frames ? streamed({ head, body, counts, writer }) : folded({ head, counts, writer })
      for (let index = 0; index < prompts.length * perPrompt; index++) {
        const prompt = prompts[Math.floor(index / perPrompt)]!
        if (body.echo) write.text(index, textOfPrompt(body, index, { model, prompt, perPrompt }))
        writer.begin()
        const { finish, outputTokens } = await complete({ prompt, body, index, model, writer }, lease.slot, (text) =>
          write.text(index, text),
        )
        counts.completion += outputTokens
        write.finish(index, finish)
      }
      write.end()
    }),
  )
}

function refuseUnsupported(body: CompletionRequest): void {
  if (body.logprobs !== undefined && body.logprobs !== null) throw unsupported('logprobs', 'log probabilities')
  if (body.suffix) throw unsupported('suffix', 'filling in before a suffix')
  if ((body.best_of ?? 1) > (body.n ?? 1)) throw unsupported('best_of', 'best_of above n')
}

function withBeginning(tokens: readonly Token[], { model }: LoadedModel): readonly Token[] {
  const { bos, shouldPrependBosToken } = model.tokens
  return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens
}

function textOfPrompt(
  { prompt: given }: CompletionRequest,
  index: number,
  { model, prompt, perPrompt }: { model: LoadedModel; prompt: readonly Token[]; perPrompt: number },
): string {
  const text: unknown = Array.isArray(given) ? given[Math.floor(index / perPrompt)] : given
  return typeof text === 'string' ? text : model.model.detokenize(prompt)
}

interface CompletionJob {
  prompt: readonly Token[]
  body: CompletionRequest
  index: number
  model: LoadedModel & ContextSize
  writer: ResponseWriter
}

async function complete(
  { prompt, body, index, model, writer }: CompletionJob,
  sequence: LlamaContextSequence,
  emit: (text: string) => void,
): Promise<{ finish: 'stop' | 'length'; outputTokens: number }> {
  const maxTokens = body.max_tokens ?? defaultMaxTokens
  if (maxTokens === 0) return { finish: 'length', outputTokens: 0 }
  await readPrompt(prompt, sequence, writer.signal)
  const completion = new LlamaCompletion({ contextSequence: sequence })
  const before = sequence.tokenMeter.usedOutputTokens
  try {
    const { metadata } = await completion.generateCompletionWithMeta([...prompt], {
      ...toSampling(body, { model: model.model, advice: model.advice, choice: index }),
      maxTokens: maxOutputTokens(prompt.length, maxTokens, model),
      customStopTriggers: typeof body.stop === 'string' ? [body.stop] : (body.stop ?? []),
      signal: writer.signal,
      disableContextShift: true,
      onTextChunk: emit,
    })
    return { finish: metadata.stopReason === 'maxTokens' ? 'length' : 'stop', outputTokens: sequence.tokenMeter.usedOutputTokens - before }
  } catch (error) {
    if (writer.signal.aborted) throw writer.signal.reason
    throw error
  } finally {
    completion.dispose()
  }
}

interface CompletionWriter {
  text(index: number, text: string): void
  finish(index: number, reason: string): void
  end(): void
}

interface WriterParts {
  head: ReplyHead
  counts: TokenCounts
  writer: ResponseWriter
}

function streamed({ head, body, counts, writer }: WriterParts & { body: CompletionRequest }): CompletionWriter {
  const frames = writer.frames!
  const withUsage = (body.stream_options as { include_usage?: boolean } | null | undefined)?.include_usage === true
  const push = (index: number, text: string, finish: string | null): void =>
    frames.push({ ...shell(head), choices: [{ index, text, logprobs: null, finish_reason: finish }], ...(withUsage && { usage: null }) })
  return {
    text: (index, text) => push(index, text, null),
    finish: (index, reason) => push(index, '', reason),
    end() {
      if (withUsage) frames.push({ ...shell(head), choices: [], usage: usageOf(counts) })
      frames.done()
    },
  }
}

function folded({ head, counts, writer }: WriterParts): CompletionWriter {
  const choices: { index: number; text: string; logprobs: null; finish_reason: string }[] = []
  const at = (index: number) => (choices[index] ??= { index, text: '', logprobs: null, finish_reason: 'stop' })
  return {
    text(index, text) {
      at(index).text += text
    },
    finish(index, reason) {
      at(index).finish_reason = reason
    },
    end: () => writer.json({ ...shell(head), choices, usage: usageOf(counts) }),
  }
}

function shell({ id, created, model }: ReplyHead): object {
  return { id, object: 'text_completion', created, model }
}
