import { invalidRequest } from '../../errors.ts'
import type { Ranking } from '../../providers/provider.ts'
import type { RerankRequest } from '../../schemas/rerank.ts'
import type { DocumentsRerankRequest, DocumentsRerankResponse } from '../../schemas/rerank-documents.ts'

type Document = DocumentsRerankRequest['documents'][number]

/** The request in the form that providers take. Throws ApiError 400 where a document has no text to rank. */
export function toRerankRequest(request: DocumentsRerankRequest): RerankRequest {
  const { model, query, documents, top_n } = request
  return { model, query, items: documents.map((document, at) => textOf(document, request, at)), max_num_results: top_n }
}

/** The response in the form of Cohere and Jina. */
export function toDocumentsResponse(
  { data, usage }: Ranking,
  { model, documents, return_documents }: DocumentsRerankRequest,
): DocumentsRerankResponse {
  const results = data.map(({ index, relevance_score }) => {
    const document = return_documents ? documents[index] : undefined
    return {
      index,
      relevance_score,
      ...(document !== undefined && { document: typeof document === 'string' ? { text: document } : document }),
    }
  })
  const tokens = usage && {
    usage: { prompt_tokens: usage.input, total_tokens: usage.input + usage.output },
    meta: { tokens: { input_tokens: usage.input, output_tokens: usage.output } },
  }
  return { id: `rerank-${crypto.randomUUID()}`, model, results, ...tokens }
}

/** The text that is ranked: a string itself; of an object its `text`, the only field of `rank_fields`, or a line for each of several fields. */
function textOf(document: Document, { rank_fields: fields }: DocumentsRerankRequest, at: number): string {
  if (typeof document === 'string') return document
  const param = `documents[${at}]`
  if (!fields || fields.length === 0) {
    const { text } = document as { text?: unknown }
    if (typeof text === 'string') return text
    throw invalidRequest(`${param} has no field 'text' that is a string. Add one, or name the fields to rank by in 'rank_fields'.`, {
      param,
    })
  }
  const names = new Set(fields)
  const lines = [...names].flatMap((field) => {
    const value = Object.hasOwn(document, field) ? document[field] : undefined
    if (value === undefined || value === null) return []
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return [names.size === 1 ? text : `${field}: ${text}`]
  })
  if (lines.length === 0) throw invalidRequest(`${param} has none of the fields that 'rank_fields' names.`, { param })
  return lines.join('\n')
}
