import type { Requirements } from './requirement.ts'

/** How much (behaviour §3). */
export const quota: Requirements = {}
