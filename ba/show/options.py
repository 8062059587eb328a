"""Options of output: where a run leaves its results, and which."""

from pydantic import Field

from ba.config.section import AnyPath, Section, output_folder


class Output(Section):
    dir: AnyPath | None = output_folder("run folder; runs/NAME-TIME beside the working folder if not given")
    picture: bool = Field(True, description="write view.png")
    report: bool = Field(True, description="write report.html")
