import type { OwnedColumns } from '../../../src/storage/tables.ts'

/** Texts that callers have uploaded; the bytes are in files. */
export interface NoteRow extends OwnedColumns {
  name: string
  bytes: number
  /** Null until the job has counted them. */
  words: number | null
}
