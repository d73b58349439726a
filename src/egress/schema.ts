import { z } from 'zod'
import { parseAllowEntry } from './allow-list.ts'

/** `server.egress` of the configuration; gives an EgressConfig. */
export const egressSchema = z.strictObject({
  allow: z
    .array(
      z.string().superRefine((entry, context) => {
        try {
          parseAllowEntry(entry)
        } catch (error) {
          context.addIssue({ code: 'custom', message: (error as Error).message })
        }
      }),
    )
    .default([])
    .describe(
      'What URLs named by callers may reach beside the public internet: host names, `*.suffix`, addresses, ranges such as `10.1.0.0/16`; hosts and addresses with `:port` to let that port alone.',
    ),
})
