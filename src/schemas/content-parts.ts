import { z } from 'zod'
import { list, oneOf, openEnum, openUnion, optional } from './published.ts'

/** What a message's content can be made of. */

const text = z.string().meta({ description: 'The text.' })

export const textPart = z
  .looseObject({ type: z.literal('text'), text })
  .meta({ id: 'ChatCompletionRequestMessageContentPartText', title: 'Text content part' })

export const imagePart = z
  .looseObject({
    type: z.literal('image_url'),
    image_url: z.looseObject({
      url: z.string().meta({ format: 'uri', description: 'A URL of the image, or the image itself as a `data:` URL in base64.' }),
      detail: optional(openEnum(['auto', 'low', 'high'], { default: 'auto', description: 'How finely the model is to look.' })),
    }),
  })
  .meta({ id: 'ChatCompletionRequestMessageContentPartImage', title: 'Image content part' })

const audioPart = z
  .looseObject({
    type: z.literal('input_audio'),
    input_audio: z.looseObject({
      data: z.string().meta({ description: 'The sound, base64.' }),
      format: openEnum(['wav', 'mp3'], { description: 'How the sound is encoded.' }),
    }),
  })
  .meta({ id: 'ChatCompletionRequestMessageContentPartAudio', title: 'Audio content part' })

const filePart = z
  .looseObject({
    type: z.literal('file'),
    file: z.looseObject({
      filename: optional(z.string().meta({ description: 'The name, when the file is sent along.' })),
      file_data: optional(z.string().meta({ description: 'The file itself, base64.' })),
      file_id: optional(z.string().meta({ description: 'The id of an uploaded file.' })),
    }),
  })
  .meta({ id: 'ChatCompletionRequestMessageContentPartFile', title: 'File content part' })

const refusalPart = z
  .looseObject({ type: z.literal('refusal'), refusal: z.string().meta({ description: 'The refusal message of the model.' }) })
  .meta({ id: 'ChatCompletionRequestMessageContentPartRefusal', title: 'Refusal content part' })

const parts = [textPart, imagePart, audioPart, filePart, refusalPart] as const
type MessageContentPart = z.output<(typeof parts)[number]>

/** Parts as each role has them by the book; any role may carry any part here, since vendors differ. */
function content(part: z.ZodType<MessageContentPart>) {
  return oneOf([z.string().meta({ title: 'Text content' }), list(part, { title: 'Array of content parts', minItems: 1 })])
}

function partOf(id: string, published: readonly [z.ZodType, ...z.ZodType[]], discriminator = false) {
  return openUnion(parts, { id, published, discriminator })
}

/** `ChatCompletionRequestMessageContentPartText` alone is published; others pass. */
const textOnly = openUnion(parts, { published: [textPart] })

export const developerContent = content(textOnly)
export const systemContent = content(partOf('ChatCompletionRequestSystemMessageContentPart', [textPart]))
export const userContent = content(partOf('ChatCompletionRequestUserMessageContentPart', [textPart, imagePart, audioPart, filePart]))
export const assistantContent = content(partOf('ChatCompletionRequestAssistantMessageContentPart', [textPart, refusalPart], true))
export const toolContent = content(partOf('ChatCompletionRequestToolMessageContentPart', [textPart]))
export const predictedContent = content(textOnly)
