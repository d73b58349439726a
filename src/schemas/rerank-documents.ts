import { z } from 'zod'
import { documentedAs, list, optional, wholeNumber } from './published.ts'
import { modelId } from './sampling.ts'

const document = documentedAs(
  z.union([z.string(), z.looseObject({})]),
  z.union([
    z.string(),
    z.looseObject({ text: z.string().meta({ description: 'What is ranked, unless `rank_fields` names other fields.' }) }),
  ]),
)

/** Each field is looked up in each document, and its value is copied for each time it is named. */
const maxRankFields = 64

/** `POST /v1/rerank`, as Cohere (v1 and v2), Jina, vLLM and others have it. */
export const documentsRerankRequest = z
  .looseObject({
    model: modelId,
    query: z.string().meta({ description: 'What the documents are ranked by.' }),
    documents: list(document, { atLeast: 1, description: 'The documents to rank: texts, or objects with a field `text`.' }),
    top_n: optional(
      documentedAs(
        wholeNumber().min(1),
        wholeNumber({ minimum: 1, description: 'The maximum number of results. Default: all documents.' }),
      ),
    ),
    return_documents: optional(z.boolean().meta({ default: false, description: 'Whether each result carries its document.' })),
    rank_fields: optional(
      z
        .array(z.string())
        .max(maxRankFields)
        .meta({ description: 'The fields of documents that are objects by which they are ranked. Default: `text`.' }),
    ),
  })
  .meta({ id: 'DocumentsRerankRequest' })
export type DocumentsRerankRequest = z.output<typeof documentsRerankRequest>

const result = z
  .object({
    index: z.int().min(0).meta({ description: 'The position of the document in the request.' }),
    relevance_score: z.number().meta({ description: 'Higher is more relevant. The range depends on the model.' }),
    document: z
      .looseObject({})
      .optional()
      .meta({ description: 'The document, where `return_documents` is true: `{text}` of a text, an object as it was sent.' }),
  })
  .meta({ id: 'DocumentsRerankResult' })

const tokens = z.int().min(0)

/** The results by falling relevance. `usage` is Jina's form, `meta` Cohere's; both are absent where the provider reports no tokens. */
export const documentsRerankResponse = z
  .object({
    id: z.string(),
    model: z.string().meta({ description: 'The model as it was requested.' }),
    results: z.array(result),
    usage: z.object({ prompt_tokens: tokens, total_tokens: tokens }).optional(),
    meta: z.object({ tokens: z.object({ input_tokens: tokens, output_tokens: tokens }) }).optional(),
  })
  .meta({ id: 'DocumentsRerankResponse' })
export type DocumentsRerankResponse = z.output<typeof documentsRerankResponse>
