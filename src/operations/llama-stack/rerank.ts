import { openaiFormat } from '../openai/format.ts'
import { openaiGovernedFields } from '../openai/fields.ts'
import { withoutText } from '../openai/without-text.ts'
import type { InputSize, JsonObject, WireFormat } from '../wire-format.ts'

const base = withoutText(openaiFormat('llama-stack.rerank', '/rerank'))

/** Llama Stack's rerank request (`query`, `items`), and the fields by which Cohere, Jina and others name the same. */
export const rerankFormat: WireFormat = {
  ...base,
  governedFields: [...openaiGovernedFields, 'query', 'items', 'documents', 'max_num_results', 'top_n'],
  inputSize(body, bytes): InputSize {
    const { text, extra, tokens } = base.inputSize(body, bytes)
    return { text: text + repeatedQueryBytes(body), extra, tokens }
  },
}

/** A reranker reads the query again with each document. */
function repeatedQueryBytes(body: unknown): number {
  const { query, items } = typeof body === 'object' && body !== null ? (body as JsonObject) : {}
  return typeof query === 'string' && Array.isArray(items) ? Buffer.byteLength(query) * Math.max(0, items.length - 1) : 0
}
