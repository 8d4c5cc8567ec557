//! `--interactive`: a person answers file by file.

use std::io::{self, BufRead};

use potter_gen::reconcile::Step;
use potter_gen::report;
use potter_gen::update::Answer;

/// Shows a step and its diff, and asks until the answer is one. The end of the input is a no to everything.
pub fn ask(step: &Step) -> Answer {
    eprint!("{}", report::plan::detail(step));
    loop {
        eprint!("{} ", question(step));
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => return Answer::Quit,
            Ok(_) => {}
        }
        match answer(line.trim(), step) {
            Some(answer) => return answer,
            None => eprintln!("{}", help(step)),
        }
    }
}

fn is_both_changed(step: &Step) -> bool {
    step.proposed.is_some() && !step.writes()
}

fn question(step: &Step) -> &'static str {
    if is_both_changed(step) { "keep waiting? [y,m,t,k,n,a,q,?]" } else { "do this? [y,n,a,q,?]" }
}

fn answer(text: &str, step: &Step) -> Option<Answer> {
    Some(match text {
        "y" | "yes" => Answer::Yes,
        "n" | "no" => Answer::No,
        "a" | "all" => Answer::All,
        "q" | "quit" => Answer::Quit,
        "m" | "merge" if is_both_changed(step) => Answer::Merge,
        "t" | "take" if is_both_changed(step) => Answer::Take,
        "k" | "keep" if is_both_changed(step) => Answer::Mine,
        _ => return None,
    })
}

fn help(step: &Step) -> String {
    let both = "m  merge both versions where they don't touch, else wait\nt  take the proposal; mine is kept under .potter/edited/\n\
                k  keep mine; the proposal is settled\n";
    let common = "n  not now\na  this and all that follow\nq  quit, write nothing";
    match is_both_changed(step) {
        true => format!("y  set the proposal aside under .potter/pending/\n{both}{common}"),
        false => format!("y  yes\n{common}"),
    }
}
