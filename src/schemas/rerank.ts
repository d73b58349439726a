import { z } from 'zod'
import { imagePart, textPart } from './content-parts.ts'
import { documentedAs, list, openUnion, wholeNumber } from './published.ts'
import { modelId } from './sampling.ts'

const item = documentedAs(z.union([z.string(), openUnion([textPart, imagePart])]), z.union([z.string(), textPart, imagePart]))

/** `POST /v1alpha/inference/rerank`, as Llama Stack has it. */
export const rerankRequest = z
  .looseObject({
    model: modelId,
    query: item,
    items: list(item, { atLeast: 1, description: 'The documents to put in order.' }),
    max_num_results: documentedAs(
      wholeNumber().min(1),
      wholeNumber({ minimum: 1, description: 'How many to return; absent: all.' }),
    ).nullish(),
  })
  .meta({ id: 'RerankRequest' })
export type RerankRequest = z.output<typeof rerankRequest>

const rerankData = z
  .object({
    index: z.int().min(0).meta({ description: 'The document’s place in the request.' }),
    relevance_score: z.number().meta({ description: 'Higher is more relevant.' }),
  })
  .meta({ id: 'RerankData' })

/** The documents by falling relevance. */
export const rerankResponse = z.object({ data: z.array(rerankData) }).meta({ id: 'RerankResponse' })
export type RerankResponse = z.output<typeof rerankResponse>
