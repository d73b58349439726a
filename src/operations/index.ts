import { chat } from './chat.ts'
import { completions } from './completions.ts'
import { embeddings } from './embeddings.ts'
import { rerank } from './rerank.ts'
import type { Operation } from './operation.ts'

/** Every operation. Code that runs one gets it as a value: this list is for what is generated for all of them. */
export const operations = { chat, completions, embeddings, rerank } as const

export type OperationName = keyof typeof operations

/** The request of an operation as it was validated. */
export type OperationRequest<Name extends OperationName> = (typeof operations)[Name] extends Operation<infer Body> ? Body : never
