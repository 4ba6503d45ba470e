import { z } from "zod";
import { weekdays } from "../components/model/window.ts";

const timeOfDay = (form: RegExp, example: string) =>
  z.string().regex(form, `expected a time of day such as "${example}"`).transform(minutesOfDay);

/** When a rollout may begin; the model's `Window` once it has been read. */
export const window = z
  .strictObject({
    days: z
      .array(z.enum(weekdays))
      .min(1)
      .default([...weekdays]),
    from: timeOfDay(/^([01]\d|2[0-3]):[0-5]\d$/, "22:00"),
    to: timeOfDay(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, "04:00"),
    timeZone: z
      .string()
      .refine(isTimeZone, 'expected a time zone of the IANA database, such as "Asia/Shanghai"'),
  })
  .refine(({ from, to }) => from !== to, {
    path: ["to"],
    message: "expected another time than from; a whole day is 00:00 to 24:00",
  });

function minutesOfDay(text: string): number {
  const [hours = 0, minutes = 0] = text.split(":").map(Number);
  return hours * 60 + minutes;
}

function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: text }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
