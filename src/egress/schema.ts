import { z } from 'zod'
import { everyHost, parseAllowEntry } from './allow-list.ts'

const entry = z.string().superRefine((text, context) => {
  try {
    parseAllowEntry(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})

/** `server.egress` of the configuration; gives an EgressConfig. */
export const egressSchema = z.strictObject({
  allow: z
    .array(entry)
    .default([])
    .describe(
      'What URLs named by callers may reach beside the public internet: host names, `*.suffix`, addresses, ranges such as `10.1.0.0/16`; hosts and addresses with `:port` to let that port alone.',
    ),
  deny: z
    .array(z.union([z.literal(everyHost), entry]))
    .optional()
    .describe(
      'What URLs named by callers may not reach, in the same forms; `*` refuses all of them. Goes before `allow`. Holds for image URLs that a provider fetches as well, by the host as it is written.',
    ),
})
