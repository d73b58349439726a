import type { Requirements } from './requirement.ts'

/** API keys of Corral’s own, and the audit log. */
export const keys: Requirements = {}
