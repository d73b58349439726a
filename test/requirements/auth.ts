import type { Requirements } from './requirement.ts'

/** Who is asking (behaviour §2.1–§2.3). */
export const auth: Requirements = {}
