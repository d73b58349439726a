import { chat } from './chat.ts'
import { completions } from './completions.ts'
import { embeddings } from './embeddings.ts'
import { rerank } from './rerank.ts'

/** Every operation. Code that runs one gets it as a value: this list is for what is generated for all of them. */
export const operations = { chat, completions, embeddings, rerank } as const

export type OperationName = keyof typeof operations
