import { render } from "preact";
import { App } from "./app";
import { listen } from "./keys";
import { applyTheme } from "./parts/theme";
import "./style/base.css";
import "./style/shell.css";
import "./style/task.css";
import "./style/views.css";

applyTheme();
listen();
render(<App />, document.getElementById("app")!);
