import type { Requirements } from './requirement.ts'

/** What is kept (behaviour §6.2). */
export const storage: Requirements = {}
