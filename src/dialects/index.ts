import type { Dialect } from './dialect.ts'
import { openai } from './openai/dialect.ts'

/** Every dialect. Code that uses one gets it as a value: this list is for what is generated for all of them. */
export const dialects: readonly Dialect[] = [openai]
