import type { Requirements } from './requirement.ts'

/** Who may do what (behaviour §2.4, §4). */
export const policy: Requirements = {}
