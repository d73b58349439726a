import type { Token } from 'node-llama-cpp'
import { embeddingsRequest, invalidRequest } from '../../../child-contract.ts'
import { usageOf } from './chat-reply.ts'
import type { LoadedModel, ModelHost } from './host.ts'
import { parseBody } from './parse-body.ts'
import { toTokenLists } from './token-input.ts'

const maxInputs = 2048

/** `POST /v1/embeddings`: unit vectors, in the order of the inputs. */
export async function embeddings(request: Request, host: ModelHost): Promise<Response> {
  const body = await parseBody(request, embeddingsRequest)
  return host.with(body.model, async (model) => {
    const size = model.model.embeddingVectorSize
    if (body.dimensions != null && body.dimensions !== size) {
      throw invalidRequest(`This model's vectors have ${size} dimensions and cannot be shortened.`, { param: 'dimensions' })
    }
    const inputs = toTokenLists(body.input, 'input', model)
    if (inputs.length > maxInputs) throw invalidRequest(`A request may have at most ${maxInputs} inputs.`, { param: 'input' })
    let prompt = 0
    const data: object[] = []
    for (const [index, input] of inputs.entries()) {
      request.signal.throwIfAborted()
      const { vector, tokens } = await embed(input, index, model)
      prompt += tokens
      data.push({ object: 'embedding', index, embedding: body.encoding_format === 'base64' ? toBase64(vector) : [...vector] })
    }
    return Response.json({
      object: 'list',
      data,
      model: body.model,
      usage: { ...usageOf({ prompt, completion: 0 }), completion_tokens: undefined },
    })
  })
}

async function embed(input: readonly Token[], index: number, model: LoadedModel): Promise<{ vector: Float32Array; tokens: number }> {
  const param = `input[${index}]`
  if (input.length === 0) throw invalidRequest('The input is empty.', { param })
  const embedder = await model.embedder()
  const tokens = embedder.calculateInputLength([...input])
  if (tokens >= model.contextSize) {
    throw invalidRequest(`This model's context holds ${model.contextSize} tokens, but the input has ${tokens}.`, {
      code: 'context_length_exceeded',
      param,
    })
  }
  const { vector } = await embedder.getEmbeddingFor([...input])
  const length = Math.hypot(...vector) || 1
  return { vector: Float32Array.from(vector, (value) => value / length), tokens }
}

function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
}
