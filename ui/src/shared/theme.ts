/** Which theme holds: the URL's, else the remembered one, else the system's. Same rule: public/theme.js */
import type { Theme } from "../model/service-color";

export function chooseTheme(
  fromUrl: string | null,
  remembered: string | null,
  systemIsDark: boolean,
): Theme {
  const isTheme = (v: string | null): v is Theme => v === "light" || v === "dark";
  if (isTheme(fromUrl)) return fromUrl;
  if (isTheme(remembered)) return remembered;
  return systemIsDark ? "dark" : "light";
}
