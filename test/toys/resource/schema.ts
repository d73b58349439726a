import { z } from 'zod'
import { listResponse, pageQuery } from '../../../src/schemas/lists.ts'
import { uploadedFile } from '../../../src/schemas/uploaded-file.ts'

const name = z.string().min(1).max(200)

export const newNote = z.object({ file: uploadedFile('The text, as UTF-8.'), name: name.optional() }).meta({ id: 'NewNote' })
export const noteChange = z.strictObject({ name }).meta({ id: 'NoteChange' })
export const notePage = pageQuery({ noun: 'note' })

export const note = z
  .object({
    id: z.string(),
    object: z.literal('note'),
    created_at: z.int().meta({ description: 'Unix seconds.' }),
    name,
    bytes: z.int(),
    words: z.int().nullable().meta({ description: 'Null until they have been counted.' }),
  })
  .meta({ id: 'Note' })

export const noteList = listResponse(note, 'ListNotesResponse')
export const deletedNote = z.object({ id: z.string(), object: z.literal('note'), deleted: z.literal(true) }).meta({ id: 'DeletedNote' })
